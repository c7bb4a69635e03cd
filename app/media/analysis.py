"""Analyses finished results: size and length, a thumbnail, a sheet of small pictures.

For child processes and the command line: the libraries that decode are large, and may crash.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from av.video.frame import VideoFrame
from PIL import Image

from app.errors import ResultUndecodable, ResultUnreadable
from app.media.frames import check_whole, describe_clip, open_clip, pick_frames
from app.media.inspection import (
    RESULT_BYTES,
    SPRITESHEET,
    THUMBNAIL,
    MediaInfo,
    kind_of,
    result_content_type,
)
from app.media.pictures import UNREADABLE, check_picture, open_picture
from app.media.storyboard import COLUMNS, ROWS, TILE_WIDTH, tile_height

THUMBNAIL_EDGE = 720
DECODED_PICTURES = {"image/jpeg", "image/png", "image/webp", "image/gif"}


def measure_clip(path: Path) -> MediaInfo:
    """Read the header only. Raises ``ResultUnreadable``."""
    with open_clip(path) as container:
        return describe_clip(container, path=path)


def probe_video(path: Path) -> MediaInfo:
    """Read the clip to its end, and decode its first picture. Raises ``ResultUnreadable``; ``ResultUndecodable`` for what
    is not decoded here."""
    with open_clip(path) as container:
        info = describe_clip(container, path=path)
        check_whole(container, seconds=info.seconds)
    return info


def probe_image(path: Path) -> MediaInfo:
    """Raises ``ResultUnreadable``; ``ResultUndecodable`` for a picture of a form or size that is not decoded here."""
    with _readable_picture(path) as content:
        check_picture(content)
        with open_picture(content) as picture:
            return MediaInfo(
                width=picture.width,
                height=picture.height,
                seconds=0.0,
                fps=0.0,
                bytes=len(content),
                codec=(picture.format or "").lower(),
                has_audio=False,
            )


def draw_video_previews(path: Path, folder: Path) -> None:
    """Decode the clip once, and write its thumbnail and sprite sheet into ``folder``. Raises like ``probe_video``."""
    with open_clip(path) as container:
        info = describe_clip(container, path=path)
        count = COLUMNS * ROWS
        moments = [info.seconds * place / count for place in range(count)]
        still = min(1.0, info.seconds / 2)
        order = sorted([(moment, place) for place, moment in enumerate(moments)] + [(still, count)])
        sheet, thumbnail = Image.new("RGB", sheet_size(info)), None
        for index, frame in pick_frames(container, [moment for moment, _ in order], seconds=info.seconds):
            place = order[index][1]
            if place == count:
                thumbnail = shrink_frame(frame, edge=THUMBNAIL_EDGE)
            else:
                paste_tile(sheet, frame, place=place)
    assert thumbnail is not None
    save_thumbnail(thumbnail, folder)
    sheet.save(folder / SPRITESHEET, "JPEG", quality=80)


def draw_image_previews(path: Path, folder: Path) -> None:
    """Write the thumbnail of a picture into ``folder``; it has no sprite sheet. Raises like ``probe_image``."""
    with _readable_picture(path) as content, open_picture(content) as picture:
        picture.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
        thumbnail = picture.convert("RGBA")
    save_thumbnail(thumbnail, folder)


@contextmanager
def _readable_picture(path: Path) -> Iterator[bytes]:
    """The content of a picture, and clear errors for what goes wrong with it inside the block."""
    try:
        content = path.read_bytes()
        content_type = result_content_type(content[:RESULT_BYTES], kind="image", stated="")
        if kind_of(content_type) in ("video", "audio"):
            raise ResultUnreadable(f"The result is {content_type} and not a readable image.")
        if content_type not in DECODED_PICTURES:
            raise ResultUndecodable(f"There is no decoder for {content_type} here.")
        yield content
    except OverflowError as error:
        raise ResultUndecodable("The result is larger than what is decoded here.") from error
    except UNREADABLE as error:
        raise ResultUnreadable("The result is not a readable image.") from error


def sheet_size(info: MediaInfo) -> tuple[int, int]:
    return COLUMNS * TILE_WIDTH, ROWS * tile_height(info.width, info.height)


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


def save_thumbnail(picture: Image.Image, folder: Path) -> None:
    picture.save(folder / THUMBNAIL, "WEBP", quality=80)
