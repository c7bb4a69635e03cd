"""Response models of Replicate and the meaning of its statuses.

https://replicate.com/docs/topics/predictions/lifecycle
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel

from app.errors import PollFailed
from app.generation import MediaKind
from app.providers.base import ResultFile, Succeeded
from app.providers.reading import Fields, State, Text

PERCENT = re.compile(r"(\d{1,3})%\s*\|")
STATES: Mapping[str, State] = {
    "starting": "queued",
    "processing": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "cancelled",
    "aborted": "cancelled",
}
ENDINGS: Mapping[str, tuple[Literal["video", "image", "audio"], str]] = {
    "mp4": ("video", "video/mp4"),
    "webm": ("video", "video/webm"),
    "mov": ("video", "video/quicktime"),
    "png": ("image", "image/png"),
    "jpg": ("image", "image/jpeg"),
    "jpeg": ("image", "image/jpeg"),
    "webp": ("image", "image/webp"),
    "mp3": ("audio", "audio/mpeg"),
    "wav": ("audio", "audio/wav"),
}
TYPES: Mapping[str, tuple[Literal["video", "image", "audio"], str]] = {
    "video": ENDINGS["mp4"],
    "image": ENDINGS["png"],
    "audio": ENDINGS["mp3"],
}


class ReplicatePrediction(BaseModel):
    """``detail`` stands in a refusal."""

    id: Text = ""
    detail: Text = ""
    status: Text = ""
    output: Any = None
    error: Any = None
    logs: Text = ""
    metrics: Fields = {}

    @property
    def file_urls(self) -> list[str]:
        return [link for link in _output_texts(self.output) if link.startswith(("https://", "http://"))]

    @property
    def logged_progress(self) -> float | None:
        """Percent: the last percentage in the logs, where most models print a progress bar."""
        percentages = PERCENT.findall(self.logs)
        return min(float(percentages[-1]), 100.0) if percentages else None


def succeeded_answer(prediction: ReplicatePrediction, kind: MediaKind) -> Succeeded:
    """The files of a finished prediction. Raises ``PollFailed`` when it has none."""
    files = [_result_file(link, kind) for link in prediction.file_urls]
    if not files:
        raise PollFailed("Replicate reports success without a file")
    wanted = [file for file in files if file.kind == kind] or files
    usage = {name: value for name, value in prediction.metrics.items() if isinstance(value, int | float)}
    return Succeeded(tuple(wanted), usage=usage)


def _result_file(link: str, kind: MediaKind) -> ResultFile:
    ending = urlsplit(link).path.rsplit(".", 1)[-1].lower()
    file_kind, content_type = ENDINGS.get(ending) or TYPES[kind]
    return ResultFile(file_kind, content_type, url=link)


def _output_texts(output: Any) -> Iterator[str]:
    """Every string in the output: models answer with one URL, a list or an object."""
    if isinstance(output, str):
        yield output
    elif isinstance(output, list | dict):
        for item in output if isinstance(output, list) else output.values():
            yield from _output_texts(item)
