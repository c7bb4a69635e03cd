"""Writes a film so that every browser and phone plays it: H.264 and AAC, as one MP4 or as a stream of segments (HLS).

A film whose codecs are these already is written again without decoding it. Runs in a child process, like all decoding.
"""

from pathlib import Path

import av

from app.media.cutting import ClipEncoder
from app.media.frames import FRONT_INDEX, is_playable, open_clip
from app.media.inspection import COMPATIBLE, PLAYLIST, SEGMENTS
from app.media.trimming import copy_packets
from app.media.vendor_marks import append_boxes, copy_metadata

STREAM = {
    "hls_segment_type": "fmp4",
    "hls_flags": "single_file",
    "hls_playlist_type": "vod",
    "hls_list_size": "0",
    "hls_time": "2",
    "hls_segment_options": "movflags=+use_metadata_tags",
}
"""One file of segments, which the playlist names by their ranges: https://ffmpeg.org/ffmpeg-formats.html#hls-2"""


def write_compatible(source: Path, folder: Path) -> None:
    """Write ``COMPATIBLE`` into ``folder``, with its index in front. Raises ``ResultUnreadable``, ``ResultUndecodable``."""
    _write_film(source, folder / COMPATIBLE, form="mp4", options=FRONT_INDEX)
    append_boxes(source, folder / COMPATIBLE)


def write_stream(source: Path, folder: Path) -> None:
    """Write ``PLAYLIST`` and ``SEGMENTS`` into ``folder``. Raises like ``write_compatible``."""
    options = STREAM | {"hls_segment_filename": str(folder / SEGMENTS)}
    _write_film(source, folder / PLAYLIST, form="hls", options=options)
    append_boxes(source, folder / SEGMENTS)  # behind the ranges that the playlist names


def _write_film(source: Path, target: Path, *, form: str, options: dict[str, str]) -> None:
    with open_clip(source) as container, av.open(str(target), "w", format=form, options=options) as out:
        if is_playable(container):
            copy_packets(container, out)
        else:
            copy_metadata(container, out)
            ClipEncoder(container, out).copy_frames()
