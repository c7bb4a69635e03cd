"""Writes the implicit and the visible label into a film. Runs in a child process, like everything that opens a vendor's file.

Without a visible label nothing is decoded: pictures and sound stay bit for bit what the vendor made.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import av
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame

from app.errors import ResultUndecodable
from app.media.analysis import probe_video
from app.media.cutting import ClipEncoder
from app.media.frames import FRONT_INDEX, is_playable, open_clip
from app.media.inspection import RESULT_BYTES, MediaInfo, result_content_type
from app.media.labels.aigc import FIELD, field_text, has_label, label_text
from app.media.labels.visible import TextPlate
from app.media.trimming import INDEXED_FORMS, WRITERS, copy_packets
from app.media.vendor_marks import C2PA_BOX, append_boxes, copy_metadata, has_manifest, mark_names


class LabelEncoder(ClipEncoder):
    """As large as the film is, and with a text over its first ``seconds``."""

    longest_edge = 1 << 30
    options: ClassVar[dict[str, str]] = {"preset": "veryfast", "crf": "17"}

    def __init__(self, source: InputContainer, out: OutputContainer, *, text: str, seconds: float) -> None:
        super().__init__(source, out)
        self._seconds = seconds if text else -math.inf
        self._plate = TextPlate(text, width=self._video.width, height=self._video.height) if text else None

    def _draw_over(self, frame: VideoFrame, seconds: float) -> VideoFrame:
        if self._plate is None or seconds >= self._seconds:
            return frame
        return self._plate.draw_over(frame)


def label_clip(
    source: Path,
    target: Path,
    *,
    service: str,
    number: str,
    integrity: str,
    text: str,
    seconds: float,
    signed: bool,
) -> MediaInfo:
    """Write ``source`` with its labels to ``target`` and probe that. ``service``: empty without an implicit label;
    ``text``: empty without a visible one; ``signed``: it is to be signed after that, which only MP4 can be.

    Raises ``ResultUnreadable``, and ``ResultUndecodable`` for a film that can't be written again.
    """
    with source.open("rb") as file:
        content_type = result_content_type(file.read(RESULT_BYTES), kind="video", stated="")
    own_form = WRITERS[content_type]
    form = "mp4" if text or (signed and own_form not in INDEXED_FORMS) else own_form
    options = FRONT_INDEX if form in INDEXED_FORMS else {}
    with open_clip(source) as container, av.open(str(target), "w", format=form, options=options) as out:
        came_with = mark_names(aigc=has_label(container.metadata), c2pa=has_manifest(source))
        if service:
            out.metadata[FIELD] = label_text(
                container.metadata, service=service, number=number, integrity=integrity
            )
        written = out.metadata.get(FIELD, "")
        if not text and (form == own_form or is_playable(container)):
            copy_packets(container, out)
        else:
            copy_metadata(container, out)
            LabelEncoder(container, out, text=text, seconds=seconds).copy_frames()
    append_boxes(source, target, without=(C2PA_BOX,) if signed else ())
    info = probe_video(target)
    _require_label(target, written)
    return replace(info, marks=came_with)


def _require_label(target: Path, written: str) -> None:
    """What is served as labelled was read back."""
    with open_clip(target) as container:
        if written not in ("", field_text(container.metadata)):
            raise ResultUndecodable("The result has a form that keeps no label.")
