"""Reading rendered clips back, and rendering them in this process."""

import asyncio
import io
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import Failed, Operation, PollAnswer, Succeeded
from app.providers.studio.planning import make_plan
from app.providers.studio.provider import StudioProvider
from app.providers.studio.render import render_plan

Pixels = NDArray[np.uint8]


def make_request(prompt: str = "A lake at dawn", **fields: object) -> GenerationRequest:
    values = {
        "kind": "video",
        "model": "studio",
        "prompt": prompt,
        "size": "320x180",
        "seconds": 1.0,
        **fields,
    }
    return GenerationRequest.model_validate(values)


def media(role: Role, content: bytes, content_type: str = "image/png") -> MediaInput:
    return MediaInput(role=role, content_type=content_type, content=content)


def picture(width: int = 400, height: int = 300, *, seed: int = 3) -> bytes:
    """A PNG of large soft patches."""
    patches = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC).save(out, format="png")
    return out.getvalue()


def rendered(request: GenerationRequest, folder: Path, *, origin: GenerationRequest | None = None) -> Path:
    """Render in this process and give the file."""
    folder.mkdir(parents=True, exist_ok=True)
    names = tuple(f"input-{number}" for number in range(len(request.media)))
    for item, name in zip(request.media, names, strict=True):
        (folder / name).write_bytes(item.content or b"")
    render_plan(make_plan(request, names, origin=origin), folder, lambda share: None)
    return folder / ("result.mp4" if request.kind == "video" else "result.png")


def frames_of(path: Path) -> list[Pixels]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def difference(one: Pixels, other: Pixels) -> float:
    """Mean difference of two pictures, 0 to 255."""
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


def filling(content: bytes, width: int, height: int) -> Pixels:
    """A picture cropped to fill a frame."""
    with Image.open(io.BytesIO(content)) as opened:
        scale = max(width / opened.width, height / opened.height)
        across, down = width / scale, height / scale
        left, top = (opened.width - across) / 2, (opened.height - down) / 2
        box = (left, top, left + across, top + down)
        return np.asarray(opened.convert("RGB").resize((width, height), Image.Resampling.LANCZOS, box=box))


async def finish(studio: StudioProvider, operation: Operation) -> tuple[PollAnswer, list[PollAnswer]]:
    """Poll until it ends; the last answer and all before it."""
    seen: list[PollAnswer] = []
    while True:
        answer = await studio.poll(operation)
        if isinstance(answer, (Succeeded, Failed)):
            return answer, seen
        seen.append(answer)
        await asyncio.sleep(0.02)
