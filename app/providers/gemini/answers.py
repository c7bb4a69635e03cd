"""The parts of the Interactions API's answers that are read, and what its state words mean.

https://ai.google.dev/gemini-api/docs/interactions
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, Field

from app.providers.base import Failed, PollAnswer, Queued, ResultFile, Running, Succeeded
from app.providers.google_errors import GoogleAnswer, GoogleError
from app.providers.reading import Fields, State, Text, read_state

HOST = "generativelanguage.googleapis.com"

STATES: Mapping[str, State] = {
    "queued": "queued",
    "in_progress": "running",
    "completed": "succeeded",
    "cancelled": "cancelled",
    # The last two ask for a further request, which a video never needs.
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
        errors = [self.error, *(self.errors or []), *(step.error for step in self.steps or [])]
        return [error for error in errors if error is not None]


def poll_answer(interaction: GeminiInteraction, *, origin: str, text: str) -> PollAnswer:
    """What ``interaction`` says. ``text`` is its cleaned error message, ``origin`` where results need the key."""
    state = read_state(interaction.status, STATES, provider="gemini")
    if state == "queued":
        return Queued()
    if state == "succeeded":
        return _completed_answer(interaction, origin, text=text)
    if state == "cancelled":
        return Failed("cancelled", text or "The interaction was cancelled.")
    if state == "failed":
        moderated = any(error.error_meaning == "moderated" for error in interaction.all_errors())
        return Failed.upstream_error(text or f"Gemini says: {interaction.status}", moderated=moderated)
    return Running()


def _completed_answer(interaction: GeminiInteraction, origin: str, *, text: str) -> PollAnswer:
    videos = interaction.output_blocks("video")
    usage = _usage_facts(interaction.usage)
    files = tuple(_result_file(video, index, origin=origin) for index, video in enumerate(videos))
    words = " ".join(block.text for block in interaction.output_blocks("text")).strip()
    if files or usage.get("output_tokens_video") or not (words or text):
        return Succeeded(files, usage=usage)  # without a file, the worker polls again for a while
    moderated = any(error.error_meaning == "moderated" for error in interaction.all_errors())
    return Failed.upstream_error(
        text or f"Gemini answered without a video: {words[:300]}", moderated=moderated
    )


def _usage_facts(usage: Mapping[str, Any]) -> dict[str, int]:
    facts = {name: value for name, value in usage.items() if isinstance(value, int)}
    for part in usage.get("output_tokens_by_modality") or []:
        if isinstance(part, dict) and isinstance(part.get("tokens"), int):
            facts[f"output_tokens_{str(part.get('modality')).lower()}"] = part["tokens"]
    return facts


def _result_file(video: ContentBlock, index: int, *, origin: str) -> ResultFile:
    """A result on Google's own host needs the key. Inline bytes are not stored with the operation: ``fetch`` reads
    them again."""
    kind = video.mime_type or "video/mp4"
    if not video.uri:
        return ResultFile("video", kind, data={"index": index})
    parts = urlsplit(video.uri)
    if parts.netloc not in {urlsplit(origin).netloc, HOST}:
        return ResultFile("video", kind, url=video.uri)
    query = {"alt": "media", **dict(parse_qsl(parts.query))}
    query.pop("key", None)
    return ResultFile("video", kind, data={"path": parts.path, "query": query})
