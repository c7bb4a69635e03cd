"""The parts of Luma's answers that are read, and what its words mean. Both APIs answer alike."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, FiniteFloat

from app.providers.base import ResultFile
from app.providers.http_errors import ErrorMeaning
from app.providers.reading import State, Text, read_error

STATES: Mapping[str, State] = {
    "queued": "queued",
    "dreaming": "running",
    "processing": "running",
    "completed": "succeeded",
    "failed": "failed",
}
CODES: Mapping[str, ErrorMeaning] = {
    "content_moderated": "moderated",
    "moderated": "moderated",
    "budget_exhausted": "quota",
    "insufficient_credits": "quota",
    "rate_limited": "busy",
}
MODERATION_TEXT = "moderation failed"
"""The legacy API has no error codes, only texts. ("failed to moderate" is a server error.)"""
NO_MONEY_TEXTS = ("insufficient credits", "not enough credits", "out of credits")


class LumaAssets(BaseModel):
    video: Text = ""
    image: Text = ""
    """The picture, or the thumbnail of a video."""


class LumaOutput(BaseModel):
    type: Text = ""
    url: Text = ""


class LumaGeneration(BaseModel):
    """A generation of either API. The legacy API puts results into ``assets``, the current one into ``output``."""

    id: Text = ""
    detail: Any = None
    """Of a refused request: a text, in the legacy API, or an object with a ``code``."""
    code: Text = ""
    state: Text = ""
    failure_reason: Text = ""
    failure_code: Text = ""
    assets: LumaAssets | None = None
    output: list[LumaOutput] | None = None

    @property
    def message(self) -> str:
        error = read_error({"error": self.detail}) if self.detail else None
        return error.message if error else self.failure_reason

    @property
    def error_meaning(self) -> ErrorMeaning | None:
        """What the code or the text of a refusal or a failure means; None when the status decides."""
        error = read_error({"error": self.detail}) if isinstance(self.detail, dict) else None
        codes = (error.code if error else "", self.code, self.failure_code)
        meaning = next((CODES[code] for code in codes if code in CODES), None)
        text = self.message.lower()
        if meaning is not None:
            return meaning
        if any(words in text for words in NO_MONEY_TEXTS):
            return "quota"
        return "moderated" if MODERATION_TEXT in text else None

    def result_files(self, *, pictures: bool) -> tuple[ResultFile, ...]:
        assets = self.assets or LumaAssets()
        links = [assets.image if pictures else assets.video, *(one.url for one in self.output or [])]
        if pictures:
            return tuple(ResultFile("image", "image/png", url=link) for link in links if link)
        return tuple(ResultFile("video", "video/mp4", url=link) for link in links if link)


class CreditBalance(BaseModel):
    credit_balance: FiniteFloat
    """In US cents."""
