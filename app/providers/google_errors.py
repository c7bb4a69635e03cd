"""Errors of Google's APIs: google.rpc status words, reasons about keys and billing, and safety filters.

https://cloud.google.com/apis/design/errors
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, model_validator

from app.errors import UpstreamError
from app.providers.http_errors import ErrorMeaning, poll_error, submit_error
from app.providers.reading import Items, Text

# The reason in ``details`` is more exact than the status: a wrong key is answered with a plain 400.
REASONS: Mapping[str, ErrorMeaning] = {
    **dict.fromkeys(("API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "API_KEY_IP_ADDRESS_BLOCKED"), "auth"),
    **dict.fromkeys(("API_KEY_HTTP_REFERRER_BLOCKED", "CONSUMER_INVALID", "CONSUMER_SUSPENDED"), "auth"),
    **dict.fromkeys(("SERVICE_DISABLED", "USER_PROJECT_DENIED", "ACCESS_TOKEN_EXPIRED"), "auth"),
    "BILLING_DISABLED": "quota",
}
STATUSES: Mapping[str, ErrorMeaning] = {
    **dict.fromkeys(("UNAUTHENTICATED", "PERMISSION_DENIED"), "auth"),
    "RESOURCE_EXHAUSTED": "busy",
    **dict.fromkeys(("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII"), "moderated"),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"), "moderated"),
}
# https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/video/responsible-ai-and-usage-guidelines
# Veo's filters answer INVALID_ARGUMENT, as for a bad field; only the support code in the message tells them apart.
SUPPORT_CODE = re.compile(r"support codes?:?\s*\d{6,}", re.IGNORECASE)
# Google has no status of its own for these; only the sentence tells them from a bad field and from "slow down".
# https://ai.google.dev/gemini-api/docs/troubleshooting
SENTENCES: tuple[tuple[re.Pattern[str], ErrorMeaning], ...] = (
    (re.compile(r"prepay\w* credits|credits (are|have been) (depleted|exhausted)", re.IGNORECASE), "quota"),
    (
        re.compile(r"location is not supported|not available in your (country|region)", re.IGNORECASE),
        "forbidden",
    ),
    (re.compile(r"does not have access", re.IGNORECASE), "forbidden"),
    (re.compile(r"(prompt|input|request) (was|is|has been) blocked", re.IGNORECASE), "moderated"),
)
DAILY = "PerDay"
"""Part of the name of a quota that a wait of minutes does not refill."""
CANCELLED = "1"
"""google.rpc.Code of a cancelled operation."""


class GoogleError(BaseModel):
    """``code`` is an HTTP status, a google.rpc.Code, or (Interactions API) a word or an address that ends in one."""

    code: Text = ""
    message: Text = ""
    status: Text = ""
    details: Items = []

    @property
    def error_meaning(self) -> ErrorMeaning | None:
        for reason in self._detail_values("reason"):
            if reason in REASONS:
                return REASONS[reason]
        if SUPPORT_CODE.search(self.message):
            return "moderated"
        for sentence, meaning in SENTENCES:
            if sentence.search(self.message):
                return meaning
        if any(DAILY in name for name in self._quota_names()):
            return "quota"
        words = (self.status.upper(), self.code.rsplit("/", 1)[-1].upper())
        return next((STATUSES[word] for word in words if word in STATUSES), None)

    @property
    def error_text(self) -> str:
        return self.message or self.status or self.code or "Google did not say why."

    def with_retry_delay(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """``headers`` with a ``retry-after`` from the body, where Google sends it (``34.4s``)."""
        delays = [delay.removesuffix("s") for delay in self._detail_values("retryDelay")]
        return {**headers, "retry-after": delays[0]} if delays else headers

    def _quota_names(self) -> list[str]:
        """Of ``google.rpc.QuotaFailure``: the quotas that are used up."""
        lists = [detail.get("violations") for detail in self.details if isinstance(detail, dict)]
        found = [violation for each in lists if isinstance(each, list) for violation in each]
        return [str(violation.get("quotaId", "")) for violation in found if isinstance(violation, dict)]

    def _detail_values(self, name: str) -> list[str]:
        values = [detail.get(name) for detail in self.details if isinstance(detail, dict)]
        return [value for value in values if isinstance(value, str)]


class GoogleAnswer(BaseModel):
    """Base of every answer: the error it may hold."""

    error: GoogleError | None = None

    @model_validator(mode="before")
    @classmethod
    def _unwrap_list(cls, value: Any) -> Any:
        """Google's front end sends the same error in a list of one."""
        return value[0] if isinstance(value, list) and value else value

    @property
    def has_meaning(self) -> bool:
        """Whether the body says more about an error than the HTTP status."""
        return self.error is not None and self.error.error_meaning is not None

    def submit_error(self, text: str, *, status: int, headers: Mapping[str, str]) -> UpstreamError:
        error = self.error or GoogleError()
        return submit_error(error.error_meaning, text, status=status, headers=error.with_retry_delay(headers))

    def poll_error(self, text: str, *, status: int, headers: Mapping[str, str]) -> UpstreamError:
        error = self.error or GoogleError()
        return poll_error(error.error_meaning, text, status=status, headers=error.with_retry_delay(headers))
