"""Turns a request into a rendering plan: size, length, shots, seeds, test directives, input files."""

import contextlib
import hashlib
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.errors import OperationNotFound, UnsupportedWish, UpstreamBusy, UpstreamModerated, UpstreamRejected
from app.generation import GenerationRequest
from app.providers.base import Operation
from app.providers.studio.plan import FPS, MAX_PIXELS, MAX_SECONDS, MAX_SIDE, MIN_SIDE, RenderPlan

_DIRECTIVE = re.compile(
    r"\[studio:(?P<word>fail|reject|moderate|moderate-late|busy|fast|slow=(?P<seconds>\d+(?:\.\d+)?))\]"
)
_SHORT_SIDES = {"360p": 360, "480p": 480, "540p": 540, "720p": 720, "1080p": 1080}
KEEP_SECONDS = 3600.0
"""How long the files of an operation are kept after their last change."""


@dataclass(frozen=True, slots=True)
class StudioDirectives:
    """The directives of a prompt; ``slow`` is the shortest rendering time in seconds."""

    words: frozenset[str] = frozenset()
    slow: float = 0.0


def split_directives(prompt: str) -> tuple[str, StudioDirectives]:
    """The prompt without its directives, and the directives."""
    words: set[str] = set()
    slow = 0.0
    for match in _DIRECTIVE.finditer(prompt):
        if match["seconds"]:
            slow = max(slow, float(match["seconds"]))
        else:
            words.add(match["word"])
    return _DIRECTIVE.sub("", prompt).strip(), StudioDirectives(frozenset(words), slow)


def raise_directed_error(directives: StudioDirectives) -> None:
    """Raises the error that a directive asks for."""
    if "reject" in directives.words:
        raise UpstreamRejected("A test directive refuses this prompt.", param="prompt")
    if "moderate" in directives.words:
        raise UpstreamModerated("The prompt goes against the content policy.", param="prompt")
    if "busy" in directives.words:
        raise UpstreamBusy("A test directive makes the studio busy.", retry_after=1)


def read_directives(request: GenerationRequest) -> tuple[GenerationRequest, StudioDirectives]:
    """The request without the directives in its prompts, and the directives."""
    prompt, directives = split_directives(request.prompt)
    shots = []
    for shot in request.shots:
        text, more = split_directives(shot.prompt)
        shots.append(shot.model_copy(update={"prompt": text}))
        directives = StudioDirectives(directives.words | more.words, max(directives.slow, more.slow))
    return request.model_copy(update={"prompt": prompt, "shots": tuple(shots)}), directives


def make_plan(
    request: GenerationRequest,
    files: tuple[str, ...],
    *,
    origin: GenerationRequest | None = None,
    directives: StudioDirectives | None = None,
) -> RenderPlan:
    """``files`` are the file names of ``request.media``; ``origin`` is the first request of a chain of remixes.

    Raises ``UnsupportedWish`` for a size or length that can't be rendered.
    """
    given = directives or StudioDirectives()
    roles = tuple(item.role for item in request.media)
    width, height = _frame_size(request)
    late = "content_policy_violation" if "moderate-late" in given.words else ""
    return RenderPlan(
        kind=request.kind,
        action=request.action,
        prompt=request.prompt,
        width=width,
        height=height,
        seconds=_clip_seconds(request),
        shots=tuple((shot.seconds, shot.prompt) for shot in request.shots),
        media=tuple(zip(roles, files, strict=True)),
        style=request.style or "",
        layout_seed=_derive_seed(origin or request, "layout"),
        colour_seed=_derive_seed(request, "colour"),
        watermark=request.watermark is True,
        sound=request.sound is not False,
        fast="fast" in given.words,
        fail="upstream_error" if "fail" in given.words else late,
        slow=given.slow,
    )


def _derive_seed(request: GenerationRequest, purpose: str) -> int:
    shots = "|".join(shot.prompt for shot in request.shots)
    text = f"{purpose}|{request.seed}|{request.prompt}|{shots}|{request.remix_of or ''}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _clip_seconds(request: GenerationRequest) -> float | None:
    planned = sum(shot.seconds for shot in request.shots)
    seconds = request.seconds or planned or None
    if seconds is None and request.media_with("source_video", "reference_video"):
        return None
    seconds = 4.0 if seconds is None else seconds
    if not 0 < seconds <= MAX_SECONDS:
        raise UnsupportedWish(f"seconds must be at most {MAX_SECONDS:.0f}", param="seconds")
    return max(seconds, 1 / FPS)


def _frame_size(request: GenerationRequest) -> tuple[int, int]:
    width, height = _requested_size(request)
    width, height = max(MIN_SIDE, width - width % 2), max(MIN_SIDE, height - height % 2)
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        text = f"size must be at most 1920x1920 pixels in area and {MAX_SIDE} on a side"
        raise UnsupportedWish(text, param="size")
    return width, height


def _requested_size(request: GenerationRequest) -> tuple[int, int]:
    if request.size and request.size != "auto":
        match = re.fullmatch(r"(\d{1,5})[xX×*](\d{1,5})", request.size.strip())
        if match is None:
            raise UnsupportedWish("size must look like 1280x720", param="size")
        return int(match[1]), int(match[2])
    short = _SHORT_SIDES.get(request.resolution or "", 720)
    ratio = re.fullmatch(r"(\d{1,3}):(\d{1,3})", request.aspect_ratio or "")
    if ratio is None or not int(ratio[1]) * int(ratio[2]):
        return (1024, 1024) if request.kind == "image" else (short, short * 16 // 9)
    across, down = int(ratio[1]), int(ratio[2])
    return (short * across // down, short) if across > down else (short, short * down // across)


def original_of(operation: Operation | None) -> object:
    """The first request of a chain of remixes, as JSON."""
    if operation is None:
        return None
    return operation.data.get("origin") or operation.data.get("request")


def request_of(operation: Operation) -> GenerationRequest:
    try:
        return GenerationRequest.model_validate(operation.data["request"])
    except (KeyError, ValidationError) as error:
        raise OperationNotFound("The operation contains no request to render.") from error


def input_names(request: GenerationRequest) -> tuple[str, ...]:
    return tuple(f"input-{number}" for number in range(len(request.media)))


def store_inputs(folder: Path, request: GenerationRequest) -> None:
    """Write the media to ``folder``. Raises ``UnsupportedWish`` for one whose bytes are not at hand."""
    folder.mkdir(parents=True, exist_ok=True)
    for item, name in zip(request.media, input_names(request), strict=True):
        path = folder / name
        if item.content is not None:
            path.write_bytes(item.content)
        elif not path.exists():
            raise UnsupportedWish(f"The studio needs the content of the {item.role}.", param=item.role)


def remove_old(workdir: Path, busy: frozenset[Path]) -> None:
    limit = time.time() - KEEP_SECONDS
    for folder in workdir.iterdir() if workdir.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):
            if folder not in busy and folder.is_dir() and folder.stat().st_mtime < limit:
                shutil.rmtree(folder, ignore_errors=True)
