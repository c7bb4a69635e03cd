"""The parts of BFL's answers that are read, and what its state words mean."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, FiniteFloat

from app.providers.base import FileKind, ResultFile, Succeeded
from app.providers.inputs import without_none
from app.providers.reading import Fields, State, Text, mentions_moderation

OWN_HOST = re.compile(r"api(\.[a-z]{2}\d*)?\.bfl\.(ai|ml)", re.ASCII)
"""The global host, its regions and clusters: https://docs.bfl.ai/api_integration/integration_guidelines"""

STATES: Mapping[str, State] = {
    "Pending": "running",
    "Ready": "succeeded",
    "Error": "failed",
    "Failed": "failed",
    "Request Moderated": "moderated",
    "Content Moderated": "moderated",
    "Task not found": "missing",
}
TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg", "jpg": "image/jpeg"}


class SubmitAnswer(BaseModel):
    """``cost`` is in credits, one US cent each; ``input_mp`` and ``output_mp`` are megapixels."""

    id: Text = ""
    polling_url: Text = ""
    cost: float | None = None
    input_mp: float | None = None
    output_mp: float | None = None
    detail: Text = ""

    def is_moderated(self) -> bool:
        """BFL refuses a prompt with 400 and one sentence: ``Request Moderated``."""
        return mentions_moderation(self.detail)

    @property
    def usage_facts(self) -> dict[str, float]:
        facts = {"cost": self.cost, "input_mp": self.input_mp, "output_mp": self.output_mp}
        return without_none(facts)


class BFLResult(BaseModel):
    status: Text = ""
    state: Text = ""
    progress: float | None = None
    result: Fields = {}
    details: Any = None
    cost: float | None = None

    @property
    def state_word(self) -> str:
        return self.status or self.state

    @property
    def progress_percent(self) -> float | None:
        """0 to 100; BFL counts from 0 to 1."""
        return None if self.progress is None else min(max(self.progress, 0.0), 1.0) * 100

    def error_text(self, cleaned: Callable[[str], str]) -> str:
        """The cleaned reasons, where it gives any: a sentence, or lists by name."""
        if isinstance(self.details, str):
            return cleaned(self.details)
        groups = self.details.values() if isinstance(self.details, dict) else []
        words = [str(word) for group in groups for word in (group if isinstance(group, list) else [group])]
        return cleaned(f"BFL says: {self.state_word}" + (f" ({', '.join(words)})" if words else ""))


class CreditBalance(BaseModel):
    credits: FiniteFloat


def is_bfl_host(host: str) -> bool:
    return OWN_HOST.fullmatch(host) is not None


def succeeded_answer(result: BFLResult, *, kind: FileKind, usage: Mapping[str, float]) -> Succeeded | None:
    """None when ``result`` names no file. ``usage`` is that of the answer to the submit."""
    link = result.result.get("sample")
    if not isinstance(link, str) or not link:
        return None
    ending = urlsplit(link).path.rsplit(".", 1)[-1].lower()
    content_type = "video/mp4" if kind == "video" else TYPES.get(ending, "image/jpeg")
    facts = {"cost": result.cost, "seconds": result.result.get("duration"), "seed": result.result.get("seed")}
    numbers = {name: value for name, value in facts.items() if isinstance(value, int | float)}
    return Succeeded((ResultFile(kind, content_type, url=link),), usage={**usage, **numbers})
