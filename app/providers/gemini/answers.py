"""The parts we read of what the Interactions API answers, and what its words mean."""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, Field

from app.providers.base import Failed, PollAnswer, Queued, ResultFile, Running, Succeeded
from app.providers.google_errors import GoogleAnswer, GoogleError
from app.providers.reading import UNKNOWN_STATES, Fields, Text

HOST = "generativelanguage.googleapis.com"

State = Literal["queued", "running", "completed", "cancelled", "failed"]
STATES: Mapping[str, State] = {
    "queued": "queued",
    "in_progress": "running",
    "completed": "completed",
    "cancelled": "cancelled",
    # The last two wait for an answer of ours that a video never needs.
    **dict.fromkeys(("failed", "incomplete", "budget_exceeded"), "failed"),
    **dict.fromkeys(("requires_action", "requires_continuation"), "failed"),
}


class ContentBlock(BaseModel):
    type: Text = ""
    text: Text = ""
    data: Text = ""
    uri: Text = ""
    mime_type: Text = ""


class InteractionStep(BaseModel):
    type: Text = ""
    content: list[ContentBlock] | None = None
    error: GoogleError | None = None


class GeminiInteraction(GoogleAnswer):
    id: Text = ""
    status: Text = ""
    steps: list[InteractionStep] | None = None
    errors: list[GoogleError] | None = None
    usage: Fields = Field(default_factory=dict)

    def output_blocks(self, kind: str) -> list[ContentBlock]:
        steps = [step for step in self.steps or [] if step.type == "model_output"]
        return [block for step in steps for block in step.content or [] if block.type == kind]

    def all_errors(self) -> list[GoogleError]:
        found = [self.error, *(self.errors or []), *(step.error for step in self.steps or [])]
        return [error for error in found if error is not None]


def poll_answer(found: GeminiInteraction, *, origin: str, said: str) -> PollAnswer:
    """``found`` in our words; ``said`` is its cleaned complaint, ``origin`` where results need the key."""
    state = STATES.get(found.status)
    if state == "queued":
        return Queued()
    if state == "completed":
        return _completed_answer(found, origin, said=said)
    if state == "cancelled":
        return Failed("cancelled", said or "The interaction was cancelled.")
    if state == "failed":
        moderated = any(error.error_meaning == "moderated" for error in found.all_errors())
        code = "content_policy_violation" if moderated else "upstream_error"
        return Failed(code, said or f"Gemini says: {found.status}")
    if state is None:
        UNKNOWN_STATES.labels(provider="gemini").inc()
    return Running()


def _completed_answer(found: GeminiInteraction, origin: str, *, said: str) -> PollAnswer:
    videos = found.output_blocks("video")
    usage = _usage_facts(found.usage)
    files = tuple(_result_file(video, index, origin=origin) for index, video in enumerate(videos))
    words = " ".join(block.text for block in found.output_blocks("text")).strip()
    if files or usage.get("output_tokens_video") or not (words or said):
        return Succeeded(files, usage=usage)  # without a file, the worker looks again for a while
    moderated = any(error.error_meaning == "moderated" for error in found.all_errors())
    code = "content_policy_violation" if moderated else "upstream_error"
    return Failed(code, said or f"Gemini answered without a video: {words[:300]}")


def _usage_facts(given: Mapping[str, Any]) -> dict[str, int]:
    usage = {name: value for name, value in given.items() if isinstance(value, int)}
    for part in given.get("output_tokens_by_modality") or []:
        if isinstance(part, dict) and isinstance(part.get("tokens"), int):
            usage[f"output_tokens_{str(part.get('modality')).lower()}"] = part["tokens"]
    return usage


def _result_file(video: ContentBlock, index: int, *, origin: str) -> ResultFile:
    """A result on Google's own host needs the key; inline bytes stay out of the database and are read again."""
    kind = video.mime_type or "video/mp4"
    if not video.uri:
        return ResultFile("video", kind, data={"index": index})
    parts = urlsplit(video.uri)
    if parts.netloc not in {urlsplit(origin).netloc, HOST}:
        return ResultFile("video", kind, url=video.uri)
    query = {"alt": "media", **dict(parse_qsl(parts.query))}
    query.pop("key", None)
    return ResultFile("video", kind, data={"path": parts.path, "query": query})
