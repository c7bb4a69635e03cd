"""Options: who receives operator notices, and about which topics."""

import base64
import binascii
from typing import ClassVar, Literal, get_args

from pydantic import Field, SecretStr, field_validator

from app.options import Address, DocumentSection, OptionsDocument
from app.webhooks.signing import PREFIX

Topic = Literal[
    "account_disabled",
    "account_recovered",
    "account_cooling_down",
    "no_available_account",
    "user_quota_too_low",
    "backup_failed",
    "cost_limited",
    "usage_refused",
    "money_held",
    "model_retires",
]
TOPICS: tuple[Topic, ...] = get_args(Topic)
SHORTEST_SECRET_BYTES = 24


class NoticeReceiver(DocumentSection):
    """A URL of the operator's that gets a POST for each notice."""

    name: str = Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9 ._-]+$")
    url: Address
    token: SecretStr = SecretStr("")
    """Sent as ``Authorization: Bearer …``."""
    secret: SecretStr = SecretStr("")
    """``whsec_…``: signs each notice as Standard Webhooks describe."""
    topics: tuple[Topic, ...] = TOPICS
    enabled: bool = True

    @field_validator("token")
    @classmethod
    def _check_token(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not (text.isascii() and text.isprintable()):
            raise ValueError("a header takes printable ASCII characters only")
        return value

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        try:
            key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if text and (not text.startswith(PREFIX) or len(key) < SHORTEST_SECRET_BYTES):
            raise ValueError(
                f"must be {PREFIX} and at least {SHORTEST_SECRET_BYTES} random bytes in base64: "
                f'echo "{PREFIX}$(openssl rand -base64 32)"'
            )
        return value


class NoticeOptions(OptionsDocument):
    document: ClassVar[str] = "notices"
    receivers: tuple[NoticeReceiver, ...] = Field(default=(), max_length=10)
    quota_share: float = Field(default=0.2, gt=0, lt=1)
    """A key's budget is low when less than this share of it is left."""
    quiet_seconds: int = Field(default=600, ge=10, le=86_400)
    """A notice about the same subject is not repeated within this time."""

    @field_validator("receivers")
    @classmethod
    def _check_distinct_names(cls, value: tuple[NoticeReceiver, ...]) -> tuple[NoticeReceiver, ...]:
        if len({receiver.name for receiver in value}) < len(value):
            raise ValueError("every receiver needs a name of its own")
        return value

    def receivers_of(self, topic: str) -> list[NoticeReceiver]:
        return [each for each in self.receivers if each.enabled and topic in each.topics]
