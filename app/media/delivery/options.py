"""The operator's options for delivery. Times are in seconds; every stage is optional."""

from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from app.errors import InvalidRequest
from app.options import Address, DocumentSection, OptionalAddress, OptionsDocument
from app.providers.google_token import read_service_account

DRIVE_URL = "https://www.googleapis.com"
# The longest lifetime of a presigned URL at S3.
LONGEST_LINK_SECONDS = 7 * 86_400


class LinkResolver(DocumentSection):
    """An endpoint of the operator that returns a better link to a generated file."""

    name: str = Field(min_length=1, max_length=80)
    url: Address
    header: str = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]{1,80}$")
    """The name of the header that carries ``secret``."""
    secret: SecretStr = SecretStr("")
    timeout_seconds: float = Field(default=15, gt=0, le=300)
    """For one attempt."""
    tries: int = Field(default=2, ge=1, le=5)
    answers: Literal["file", "page"] = "file"
    """What its link leads to: the file itself, which is then stored, or a page for people."""
    enabled: bool = True

    @field_validator("secret")
    @classmethod
    def _check_header_value(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text.isascii() or (text and not text.isprintable()):
            raise ValueError("a header takes printable ASCII characters only")
        return value


class StoreLinks(DocumentSection):
    """The link to our own copy: signed by us, presigned by the object store, or none, so that a resolver's link is
    used."""

    links: Literal["signed", "presigned", "none"] = "signed"
    ttl_seconds: int = Field(default=86_400, ge=60, le=LONGEST_LINK_SECONDS)
    endpoint: OptionalAddress = ""
    """The origin of presigned links, if clients reach the object store at another address than we do."""


class DriveOptions(DocumentSection):
    """Uploads to a folder of Google Drive, with a service account."""

    enabled: bool = False
    service_account: SecretStr = SecretStr("")
    """The JSON key file from Google's console."""
    folder_id: str = Field(default="", max_length=200, pattern=r"^[A-Za-z0-9_-]*$")
    share: Literal["anyone", "none"] = "anyone"
    link: Literal["view", "download"] = "view"
    impersonate: str = Field(default="", max_length=320)
    """A user of the domain whose drive is used, if the service account may act for that user."""
    timeout_seconds: float = Field(default=900, gt=0, le=7200)
    """For the whole upload of one file."""
    tries: int = Field(default=4, ge=1, le=10)
    endpoint: Address = DRIVE_URL
    token_endpoint: OptionalAddress = ""

    @field_validator("service_account")
    @classmethod
    def _check_service_account(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            try:
                read_service_account(value.get_secret_value())
            except InvalidRequest as refusal:
                raise ValueError(refusal.message) from None
        return value


class DeliveryOptions(OptionsDocument):
    document: ClassVar[str] = "delivery"
    resolvers: tuple[LinkResolver, ...] = Field(default=(), max_length=10)
    store: StoreLinks = StoreLinks()
    drive: DriveOptions = DriveOptions()

    @field_validator("resolvers")
    @classmethod
    def _check_unique_names(cls, value: tuple[LinkResolver, ...]) -> tuple[LinkResolver, ...]:
        if len({resolver.name for resolver in value}) < len(value):
            raise ValueError("every resolver needs a name of its own")
        return value
