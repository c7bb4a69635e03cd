"""Texts that players read beside a film: which part of its sheet of small pictures belongs to which moment, and where the
segments of its stream lie."""

COLUMNS, ROWS, TILE_WIDTH = 5, 4, 160


def tile_height(width: int, height: int) -> int:
    """Of one picture of the sheet, in pixels, for a film of ``width`` by ``height``."""
    return max(2, min(4 * TILE_WIDTH, TILE_WIDTH * height // width))


def storyboard_text(*, seconds: float, width: int, height: int, sheet_link: str) -> str:
    """WebVTT with a part of the sheet for each moment, as players show it above their progress bar:
    https://www.w3.org/TR/media-frags/#naming-space"""
    count, tile = COLUMNS * ROWS, tile_height(width, height)
    lines = ["WEBVTT", ""]
    for place in range(count):
        begin, end = (_vtt_time(seconds * moment / count) for moment in (place, place + 1))
        left, top = place % COLUMNS * TILE_WIDTH, place // COLUMNS * tile
        lines += [f"{begin} --> {end}", f"{sheet_link}#xywh={left},{top},{TILE_WIDTH},{tile}", ""]
    return "\n".join(lines)


def playlist_text(stored: str, *, name: str, link: str) -> str:
    """A stored playlist whose segments are read from ``link`` instead of the file ``name`` beside it."""
    return stored.replace(name, link)


def _vtt_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
