"""The options of scheduled backups, and the list of option documents that a backup contains."""

from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from app.keys.gate_options import GateOptions
from app.media.delivery.options import DeliveryOptions
from app.media.labels.options import LabelOptions
from app.options import DocumentSection, OptionalAddress, OptionsDocument
from app.usage.money_options import MoneyOptions
from app.usage.settlement_options import SettlementOptions
from app.webhooks.notice_options import NoticeOptions

MAX_HOURS = 31 * 24


class UploadHeader(DocumentSection):
    """A header of every upload, such as ``X-Master-Key`` of JSONBin."""

    name: str = Field(pattern=r"^[A-Za-z0-9-]{1,80}$")
    value: SecretStr

    @field_validator("value")
    @classmethod
    def _check_printable(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not (text.isascii() and text.isprintable()):
            raise ValueError("a header takes printable ASCII characters only")
        return value


class BackupOptions(OptionsDocument):
    document: ClassVar[str] = "backup"
    enabled: bool = False
    url: OptionalAddress = ""
    method: Literal["PUT", "POST"] = "PUT"
    headers: tuple[UploadHeader, ...] = Field(default=(), max_length=20)
    every_hours: int = Field(default=24, ge=1, le=MAX_HOURS)
    with_secrets: bool = False
    passphrase: SecretStr = SecretStr("")
    """Seals the secrets; if empty, the root key seals them."""

    @property
    def is_usable(self) -> bool:
        return self.enabled and bool(self.url)


DOCUMENTS: tuple[type[OptionsDocument], ...] = (
    DeliveryOptions,
    NoticeOptions,
    SettlementOptions,
    LabelOptions,
    GateOptions,
    MoneyOptions,
    BackupOptions,
)
"""Every option document."""
