"""Options: who receives operator notices, and about which topics."""

import re
from typing import Any, ClassVar, Literal, get_args

import httpx2
from pydantic import Field, SecretStr, ValidationInfo, field_validator

from app.options import MAX_ADDRESS_LENGTH, DocumentSection, OptionsDocument, web_address
from app.secret_rules import check_signing_secret

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
    "labels_failed",
]
TOPICS: tuple[Topic, ...] = get_args(Topic)
ReceiverKind = Literal["webhook", "feishu", "dingtalk", "wecom", "telegram", "slack", "discord", "email"]
CHATS: tuple[ReceiverKind, ...] = ("feishu", "dingtalk", "wecom", "telegram", "slack", "discord")
MAIL_SCHEMES = ("smtp", "smtps", "smtp+plain")
MAILBOX = r"[^\s@<>,\"]+@[^\s@<>,\"]+"
BOT_LOGIN = r"\d{1,20}:[A-Za-z0-9_-]{1,100}"


def _for(*kinds: ReceiverKind) -> dict[str, Any]:
    return {"for": list(kinds)}


class NoticeReceiver(DocumentSection):
    """Who is told: an address of the operator's that gets a POST for each notice, a chat, or mailboxes. ``for`` in the
    schema says for which kinds a field is."""

    name: str = Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9 ._-]+$")
    kind: ReceiverKind = "webhook"
    url: str = Field(default="", max_length=MAX_ADDRESS_LENGTH, validate_default=True)
    """Of the webhook or the chat's bot; ``smtp://host``, ``smtps://host`` or ``smtp+plain://host`` for e-mail; empty for
    Telegram's own server."""
    token: SecretStr = Field(
        default=SecretStr(""), validate_default=True, json_schema_extra=_for("webhook", "telegram", "email")
    )
    """Sent as ``Authorization: Bearer …``; the bot's token for Telegram; the password for e-mail."""
    secret: SecretStr = Field(default=SecretStr(""), json_schema_extra=_for("webhook", "feishu", "dingtalk"))
    """``whsec_…``: signs each notice as Standard Webhooks describe; the key for signatures of Feishu and DingTalk."""
    chat: str = Field(default="", max_length=64, validate_default=True, json_schema_extra=_for("telegram"))
    """The chat's id or ``@channel``."""
    user: str = Field(default="", max_length=200, json_schema_extra=_for("email"))
    sender: str = Field(default="", max_length=200, validate_default=True, json_schema_extra=_for("email"))
    recipients: tuple[str, ...] = Field(
        default=(), max_length=20, validate_default=True, json_schema_extra=_for("email")
    )
    language: Literal["en", "zh"] = Field(default="en", json_schema_extra=_for(*CHATS, "email"))
    topics: tuple[Topic, ...] = TOPICS
    enabled: bool = True

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind")
        if kind == "telegram" and not value.strip():
            return ""
        return _mail_address(value) if kind == "email" else web_address(value)

    @field_validator("token")
    @classmethod
    def _check_token(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        text, kind = value.get_secret_value(), info.data.get("kind")
        if kind == "telegram" and not re.fullmatch(BOT_LOGIN, text):
            raise ValueError("must be the bot's token, like 123456:ABC…")
        if kind == "webhook" and text and not (text.isascii() and text.isprintable()):
            raise ValueError("a header takes printable ASCII characters only")
        return value

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if info.data.get("kind") == "webhook":
            check_signing_secret(value.get_secret_value())
        return value

    @field_validator("chat")
    @classmethod
    def _check_chat(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("kind") == "telegram" and not value.strip():
            raise ValueError("Telegram needs the id of a chat")
        return value.strip()

    @field_validator("sender")
    @classmethod
    def _check_sender(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("kind") == "email" and not re.fullmatch(MAILBOX, value):
            raise ValueError("must be a mailbox, like filmgate@example.com")
        return value

    @field_validator("recipients")
    @classmethod
    def _check_recipients(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("kind") == "email" and not (
            value and all(re.fullmatch(MAILBOX, each) for each in value)
        ):
            raise ValueError("must be mailboxes, like you@example.com")
        return value


def _mail_address(text: str) -> str:
    try:
        parsed = httpx2.URL(text.strip())
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        parsed = httpx2.URL("")
    if (
        parsed.scheme not in MAIL_SCHEMES
        or not parsed.host
        or parsed.userinfo
        or parsed.path not in ("", "/")
    ):
        raise ValueError("must be like smtp://mail.example.com:587, or smtps://mail.example.com")
    return str(parsed)


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
