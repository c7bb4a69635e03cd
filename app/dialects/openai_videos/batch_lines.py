"""Reads the file of a batch: one request a line, as OpenAI's Batch API writes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.tasks.batches import ENDPOINT

MOST_LINES = 1000
MOST_ERRORS = 100
LONGEST_ID = 512


@dataclass(frozen=True, slots=True)
class BatchLine:
    """``number`` from 1; ``body`` is that of `POST /v1/videos`."""

    number: int
    custom_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LineError:
    code: str
    message: str
    line: int | None = None
    param: str | None = None

    def as_document(self) -> dict[str, Any]:
        return {"code": self.code, "line": self.line, "message": self.message, "param": self.param}


def read_lines(content: bytes) -> tuple[list[BatchLine], list[LineError]]:
    """The lines, and what is wrong with the file: with any error nothing of it is made."""
    texts = [(number, text) for number, text in enumerate(content.split(b"\n"), 1) if text.strip()]
    if not texts:
        return [], [LineError("empty_file", "The file has no lines.")]
    if len(texts) > MOST_LINES:
        return [], [LineError("too_many_tasks", f"A batch may have at most {MOST_LINES} lines.")]
    lines: list[BatchLine] = []
    errors: list[LineError] = []
    seen: set[str] = set()
    for number, text in texts:
        found = _read_line(number, text, seen)
        if isinstance(found, LineError):
            errors.append(found)
        else:
            seen.add(found.custom_id)
            lines.append(found)
    return lines, errors[:MOST_ERRORS]


def _read_line(number: int, text: bytes, seen: set[str]) -> BatchLine | LineError:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return LineError("invalid_json_line", "This line is not parseable as valid JSON.", number)
    if not isinstance(line, dict):
        return LineError("invalid_json_line", "This line is not a JSON object.", number)
    custom_id = line.get("custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= LONGEST_ID or not custom_id.isprintable():
        return LineError(
            "missing_required_parameter",
            "custom_id must be a text of 1 to 512 characters.",
            number,
            "custom_id",
        )
    if custom_id in seen:
        return LineError(
            "duplicate_custom_id", f"custom_id {custom_id[:80]} is not unique.", number, "custom_id"
        )
    if line.get("method") != "POST":
        return LineError("invalid_method", "method must be POST.", number, "method")
    if line.get("url") != ENDPOINT:
        return LineError("invalid_url", f"url must be {ENDPOINT}, as the batch's endpoint.", number, "url")
    body = line.get("body")
    if not isinstance(body, dict):
        return LineError("missing_required_parameter", "body must be an object.", number, "body")
    return BatchLine(number, custom_id, body)
