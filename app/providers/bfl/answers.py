"""The parts we read of what BFL answers, and what its words mean."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, FiniteFloat

from app.providers.base import ResultFile, Succeeded
from app.providers.reading import Fields, Text

OWN_HOST = re.compile(r"api(\.[a-z]{2}\d*)?\.bfl\.(ai|ml)", re.ASCII)
"""The global host and its regions and clusters, as docs.bfl.ai/integration_guidelines lists them."""

State = Literal["running", "succeeded", "failed", "moderated", "missing"]
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

    @property
    def usage_facts(self) -> dict[str, float]:
        facts = {"cost": self.cost, "input_mp": self.input_mp, "output_mp": self.output_mp}
        return {name: value for name, value in facts.items() if value is not None}


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
        """BFL counts to 1."""
        return None if self.progress is None else min(max(self.progress, 0.0), 1.0) * 100

    def error_text(self, cleaned: Callable[[str], str]) -> str:
        """The reasons, when it gives any: a sentence, or lists under names."""
        if isinstance(self.details, str):
            return cleaned(self.details)
        named = self.details.values() if isinstance(self.details, dict) else []
        words = [str(word) for one in named for word in (one if isinstance(one, list) else [one])]
        return cleaned(f"BFL says: {self.state_word}" + (f" ({', '.join(words)})" if words else ""))


class CreditBalance(BaseModel):
    credits: FiniteFloat


def is_bfl_host(host: str) -> bool:
    return OWN_HOST.fullmatch(host) is not None


def result_of(
    found: BFLResult, *, kind: Literal["video", "image"], usage: Mapping[str, float]
) -> Succeeded | None:
    """None when it names no file. ``usage`` is what was said when it was accepted."""
    link = found.result.get("sample")
    if not isinstance(link, str) or not link:
        return None
    ending = urlsplit(link).path.rsplit(".", 1)[-1].lower()
    content_type = "video/mp4" if kind == "video" else TYPES.get(ending, "image/jpeg")
    facts = {"cost": found.cost, "seconds": found.result.get("duration"), "seed": found.result.get("seed")}
    told = {name: value for name, value in facts.items() if isinstance(value, int | float)}
    return Succeeded((ResultFile(kind, content_type, url=link),), usage={**usage, **told})
