"""A real MP4 and a real PNG, made once."""

import io
from functools import cache

import av
import numpy
from PIL import Image


@cache
def tiny_mp4(seconds: int = 1) -> bytes:
    """64 by 64 pixels at 8 frames a second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(8 * seconds):
            picture = numpy.full((64, 64, 3), 20 + number % 8 * 25, dtype=numpy.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


@cache
def tiny_png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 80, 40)).save(buffer, "PNG")
    return buffer.getvalue()
