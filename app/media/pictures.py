"""Checks pictures: format, completeness and size in pixels."""

from io import BytesIO

from PIL import Image, UnidentifiedImageError

from app.media.inspection import MAX_PIXELS

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
UNREADABLE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError)


def open_picture(content: bytes) -> Image.Image:
    """Open without decoding. Raises ``ValueError`` when it is no picture, ``OverflowError`` over
    ``MAX_PIXELS``."""
    try:
        picture = Image.open(BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise OverflowError(str(error)) from error
    except UNREADABLE as error:
        raise ValueError(str(error)) from error
    if picture.width * picture.height > MAX_PIXELS:
        picture.close()
        raise OverflowError(f"{picture.width}x{picture.height}")
    return picture


def check_picture(content: bytes) -> tuple[int, int]:
    """Width and height in pixels. Raises ``OverflowError`` when it would unpack to more than ``MAX_PIXELS``, and one of
    ``UNREADABLE`` when it is broken or cut short. For child processes: the picture may be a client's."""
    with open_picture(content) as picture:
        size = picture.size
        picture.verify()
    check_whole(content)
    return size


def check_whole(content: bytes) -> None:
    """Decode a JPEG (at an eighth of its size) or GIF once, because ``verify`` does not notice a truncated file.

    PNG has checksums, which ``verify`` compares, and WebP refuses to open when it is cut.
    """
    with open_picture(content) as picture:
        if picture.format in ("JPEG", "GIF"):
            picture.draft(None, (picture.width // 8, picture.height // 8))
            picture.load()
