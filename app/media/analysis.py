"""Analyses finished results: size and length, a thumbnail, a sheet of small pictures.

For child processes and the command line: the libraries that decode are large, and may crash.
"""

from io import BytesIO
from pathlib import Path

from av.video.frame import VideoFrame
from PIL import Image

from app.errors import ResultUnreadable
from app.media.frames import describe_clip, open_clip, pick_frames
from app.media.inspection import MediaInfo, MediaInspection
from app.media.pictures import UNREADABLE, open_picture

THUMBNAIL_EDGE = 720
COLUMNS, ROWS, TILE_WIDTH = 5, 4, 160


def probe_clip(path: Path) -> MediaInfo:
    """Read the header only. Raises ``ResultUnreadable``."""
    with open_clip(path) as container:
        return describe_clip(container, path=path)


def analyze_video(path: Path) -> MediaInspection:
    """Decode the clip once. Raises ``ResultUnreadable``."""
    with open_clip(path) as container:
        info = describe_clip(container, path=path)
        count = COLUMNS * ROWS
        moments = [info.seconds * place / count for place in range(count)]
        still = min(1.0, info.seconds / 2)
        order = sorted([(moment, place) for place, moment in enumerate(moments)] + [(still, count)])
        sheet = Image.new("RGB", sheet_size(info))
        thumbnail = b""
        for index, frame in pick_frames(container, [moment for moment, _ in order], seconds=info.seconds):
            place = order[index][1]
            if place == count:
                thumbnail = encode_webp(shrink_frame(frame, edge=THUMBNAIL_EDGE))
            else:
                paste_tile(sheet, frame, place=place)
    return MediaInspection(info, thumbnail, encode_jpeg(sheet))


def analyze_image(path: Path) -> MediaInspection:
    """Raises ``ResultUnreadable``."""
    try:
        content = path.read_bytes()
        with open_picture(content) as picture:
            info = MediaInfo(
                width=picture.width,
                height=picture.height,
                seconds=0.0,
                fps=0.0,
                bytes=len(content),
                codec=(picture.format or "").lower(),
                has_audio=False,
            )
            picture.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
            return MediaInspection(info, encode_webp(picture.convert("RGBA")), None)
    except (*UNREADABLE, OverflowError) as error:
        raise ResultUnreadable("The result is not a readable image.") from error


def tile_height(info: MediaInfo) -> int:
    return max(2, min(4 * TILE_WIDTH, TILE_WIDTH * info.height // info.width))


def sheet_size(info: MediaInfo) -> tuple[int, int]:
    return COLUMNS * TILE_WIDTH, ROWS * tile_height(info)


def paste_tile(sheet: Image.Image, frame: VideoFrame, *, place: int) -> None:
    height = sheet.height // ROWS
    sheet.paste(
        scale_frame(frame, width=TILE_WIDTH, height=height),
        (place % COLUMNS * TILE_WIDTH, place // COLUMNS * height),
    )


def shrink_frame(frame: VideoFrame, *, edge: int) -> Image.Image:
    share = min(1.0, edge / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * share)), max(1, round(frame.height * share))
    return scale_frame(frame, width=width, height=height)


def scale_frame(frame: VideoFrame, *, width: int, height: int) -> Image.Image:
    picture: Image.Image = frame.to_image(width=width, height=height)  # type: ignore[no-untyped-call]
    return picture


def encode_webp(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def encode_jpeg(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
