"""OpenRouter's answers about its jobs: https://openrouter.ai/docs/api_reference/videos"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.providers.base import ResultFile, Succeeded
from app.providers.reading import ErrorDetail, Fields, Items, State, Text, read_error

STATES: Mapping[str, State] = {
    "pending": "queued",
    "in_progress": "running",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}


class OpenRouterJob(BaseModel):
    """``urls`` are signed and public, ``unsigned_urls`` need the key; ``error`` is a sentence or an error object."""

    id: Text = ""
    status: Text = ""
    error: Any = None
    urls: Items = []
    unsigned_urls: Items = []
    usage: Fields = {}

    @property
    def is_error(self) -> bool:
        return isinstance(self.error, dict)

    @property
    def is_filtered(self) -> bool:
        """A filter of OpenRouter or of a vendor refused it, which only the error's metadata shows."""
        metadata = self.error.get("metadata") if isinstance(self.error, dict) else None
        return isinstance(metadata, dict) and bool({"reasons", "flagged_input"} & set(metadata))

    @property
    def bill(self) -> dict[str, Any]:
        return {name: self.usage[name] for name in ("cost", "is_byok") if self.usage.get(name) is not None}

    def first_error(self) -> ErrorDetail:
        return read_error({"error": self.error}) or ErrorDetail("OpenRouter gave no reason.")


def succeeded_answer(job: OpenRouterJob) -> Succeeded:
    signed = [link for link in job.urls if isinstance(link, str)]
    files = [ResultFile("video", "video/mp4", url=link) for link in signed] or [
        ResultFile("video", "video/mp4", data={"index": number})
        for number in range(max(len(job.unsigned_urls), 1))
    ]
    return Succeeded(tuple(files), usage=job.bill)
