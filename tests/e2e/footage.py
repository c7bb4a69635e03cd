"""Pictures to send, and what a made file really is."""

import io
import math
from dataclasses import dataclass

import av
from PIL import Image


@dataclass(frozen=True)
class Clip:
    """A video as it was read; seconds are rounded to a tenth."""

    codec: str
    width: int
    height: int
    seconds: float

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"


def read_clip(content: bytes) -> Clip:
    """Decodes the first frame too, so that it is known to play."""
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        assert container.duration is not None
        seconds = math.floor(container.duration / av.time_base * 10 + 0.5) / 10
        return Clip(stream.codec_context.name, frame.width, frame.height, seconds)


def read_picture(content: bytes) -> tuple[str, int, int]:
    """Format, width and height."""
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        return str(picture.format).lower(), picture.width, picture.height


def make_picture(width: int = 320, height: int = 180, *, kind: str = "PNG", shade: int = 90) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (shade, 120, 200)).save(out, kind)
    return out.getvalue()
