"""Every setting, typed, with its default and one line of why; read only in main, worker and cli."""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AnyHttpUrl,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.admin.oidc_options import read_roles
from app.db.postgres_address import check_parameters
from app.errors import InvalidRequest, SettingsInvalid
from app.ops.cross_origin import ANY_ORIGIN, read_origin
from app.secret_rules import MIN_TOKEN_LENGTH, check_password, is_blank, is_weak_token
from app.validation import describe_problem

USER_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^/\s]*@")
QUERY_SECRET = re.compile(
    r"(?i)([?&][^=&#\s]*(?:pass|pwd|secret|token|key|credential|sig)[^=&#\s]*=)[^&#\s]*"
)
MAX_PROCESSES = 64


class Settings(BaseSettings):
    """Read from the environment: ``FILMGATE_<NAME>``. Sizes are bytes, times are seconds."""

    model_config = SettingsConfigDict(
        hide_input_in_errors=True, env_prefix="FILMGATE_", env_file=None, extra="ignore"
    )

    processes: int = Field(default=1, ge=1, le=MAX_PROCESSES)
    """Serving processes of ``serve`` on one port; more than one need PostgreSQL."""
    host: str = "127.0.0.1"
    """Only this machine can connect unless another address is set."""
    port: int = Field(default=8000, ge=0, le=65535)
    data_dir: Path = Path("./data")
    """Holds the database, the files and the root key unless they are set elsewhere."""
    database_url: str = ""
    """Empty: SQLite in the data directory. ``postgresql+asyncpg://…`` to scale out."""
    redis_url: SecretStr | None = None
    """``redis://…``: requests per minute of a key are counted across all processes. Without it, each process counts alone."""
    storage_url: str = ""
    """Empty: a folder in the data directory. ``s3://bucket/prefix`` for an object store."""
    s3_endpoint: str = ""
    public_url: AnyHttpUrl | None = None
    """The origin of links that clients get. Without it, the address that the client used."""
    secret_key: SecretStr | None = None
    """Root of all derived keys. Without it, a key is created once in the data directory."""
    old_secret_keys: SecretStr | None = None
    """Comma-separated former secret keys. They still open what was sealed with them."""
    api_key: SecretStr | None = None
    """A client key that exists from the first start, for automation."""
    admin_password: SecretStr | None = None
    """Password of the panel's owner ``admin``. Without it, the first start prints a link to choose one."""
    admin_token: SecretStr | None = None
    """Bearer for ``/admin/api``; for automation."""
    admin_totp: Literal["optional", "required"] = "optional"
    """Whether everybody who signs in to the panel with a password must have a second factor."""
    oidc_issuer: AnyHttpUrl | None = None
    """The OpenID Connect provider through which admins sign in; see docs/admin.md."""
    oidc_client_id: str = Field(default="", validate_default=True)
    oidc_client_secret: SecretStr | None = None
    oidc_name: str = ""
    """What the sign-in page calls the provider. Empty: its host."""
    oidc_scopes: str = "openid profile email"
    oidc_role_claim: str = "groups"
    """The claim that holds a person's groups; with dots where it lies in others (``realm_access.roles``)."""
    oidc_roles: str = Field(default="", validate_default=True)
    """Comma-separated ``group=role``; ``*=viewer`` is for whoever the provider lets in."""
    password_sign_in: bool = True
    """Off: admins sign in through the provider only, and with a password for an hour after ``admin reset-password``."""
    metrics_token: SecretStr | None = None
    """Bearer for ``/metrics``. Without it, whoever reaches the port can read them."""
    trusted_proxies: str = "127.0.0.1,::1"
    """Comma-separated addresses or networks of reverse proxies whose ``X-Forwarded-For`` and ``-Proto`` are believed."""
    cors_origins: str = ""
    """Comma-separated origins of browser apps that may call the gateway; ``*`` for every one. Empty: none."""
    config: Path | None = None
    """A TOML file of accounts, routes, keys and prices, applied at every start; see docs/config.md."""
    outbound_allow: str = ""
    """Comma-separated hosts or CIDRs outside the public internet that accounts and media may reach."""
    studio: Literal["auto", "on", "off"] = "auto"
    """The embedded renderer: auto (until an account has passed a test or made something), on, or off."""
    studio_workers: int = Field(default=2, ge=1, le=64)
    """How many clips the studio renders at the same time, one process each."""
    studio_test_directives: bool = False
    """Lets a prompt make the studio fail, be slow or moderate, for tests."""
    worker: bool = True
    """``serve`` runs tasks itself. Off when separate ``worker`` processes run them."""
    queue_deadline_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Time that a task may wait for an account; as long as it may run, if it is not set."""
    account_patience_seconds: float = Field(default=600, ge=0, allow_inf_nan=False)
    """A new task is refused, with reason and time, when its accounts rest longer than this, as for want of credit."""
    task_deadline_seconds: float = Field(default=3600, gt=0, allow_inf_nan=False)
    """Time that a task may take from when its vendor has accepted it."""
    result_ttl_seconds: int = Field(default=86400, gt=0)
    link_ttl_seconds: int = Field(default=86400, gt=0)
    task_days: int = Field(default=90, ge=1, le=3650)
    """Days that an ended task can be looked up, with its timeline and receipts. Its files go much earlier."""
    ledger_days: int = Field(default=400, ge=1, le=3650)
    """Days that the entries of the ledger are kept. Budgets and sums count them for ever."""
    request_log_days: int = Field(default=90, ge=1, le=3650)
    """Days that the request log and the usage reports cover. Budgets are counted separately."""
    audit_days: int = Field(default=365, ge=1, le=3650)
    """Days that the audit log covers."""
    chat_wait_seconds: float = Field(default=1800, gt=0, allow_inf_nan=False)
    drain_seconds: float = Field(default=20, ge=0, allow_inf_nan=False)
    """Time that open requests get after SIGTERM. Tasks are handed over, never lost."""
    keep_alive_seconds: int = Field(default=75, ge=1, le=3600)
    """How long a client's connection stays open between two requests: longer than the pools of clients and proxies keep it
    (60 s mostly), or a request meets a connection that has just been closed."""
    heartbeat_seconds: float = Field(default=10, ge=1, allow_inf_nan=False)
    """After so many silent seconds of a worker, others take over its tasks (PostgreSQL)."""
    submit_timeout_seconds: float = Field(default=60, gt=0)
    """Time that an upstream may take to answer a submission. After that the outcome is unknown."""
    poll_timeout_seconds: float = Field(default=15, gt=0)
    max_body_bytes: int = Field(default=128 * 1024 * 1024, gt=0)
    max_image_bytes: int = Field(default=10 * 1024 * 1024, gt=0)
    max_video_bytes: int = Field(default=100 * 1024 * 1024, gt=0)
    max_result_bytes: int = Field(default=4 * 1024 * 1024 * 1024, gt=0)
    c2pa_certificate: Path | None = None
    """A PEM file: the certificate that signs films, then those above it. Needs ``filmgate[c2pa]``; see docs/labels.md."""
    c2pa_key: Path | None = None
    """A PEM file: the private key of the first certificate."""
    label_days: int = Field(default=1825, ge=1, le=36_500)
    """Days that a labelled film can be recognized by its hash."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"
    access_log: bool = True
    """A line in the log for each request that was answered."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_blanks(cls, values: Any) -> Any:
        """An empty variable is not set, whichever it is: ``FILMGATE_API_KEY=`` in a file, ``${NAME:-}`` in compose."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if not _is_blank_value(value)}

    @field_validator("admin_password")
    @classmethod
    def _hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            check_password(value.get_secret_value(), param="it")
        except InvalidRequest as refusal:
            raise ValueError(refusal.message.removeprefix("it ")) from None
        return value

    @field_validator("secret_key", "api_key", "admin_token", "metrics_token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and is_weak_token(value.get_secret_value()):
            raise ValueError("is too easy to guess; use at least 16 random characters (openssl rand -hex 32)")
        return value

    @field_validator("oidc_client_id", "oidc_roles")
    @classmethod
    def _given_with_issuer(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("oidc_issuer") and not value:
            raise ValueError("is needed with FILMGATE_OIDC_ISSUER")
        if info.field_name == "oidc_roles":
            read_roles(value)
        return value

    @field_validator("password_sign_in")
    @classmethod
    def _leaves_a_way_in(cls, value: bool, info: ValidationInfo) -> bool:
        if not value and not info.data.get("oidc_issuer"):
            raise ValueError("can be off only with FILMGATE_OIDC_ISSUER")
        return value

    @field_validator("old_secret_keys")
    @classmethod
    def _all_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if any(len(secret) < MIN_TOKEN_LENGTH for secret in _split_list(value)):
            raise ValueError("holds a key of less than 16 characters; separate several by commas")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value.startswith(("postgresql://", "postgres://")):
            value = "postgresql+asyncpg://" + value.split("://", 1)[1]
        if not value:
            return value
        if not value.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://")):
            raise ValueError("must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://")
        try:
            if value.startswith("postgresql"):  # may name several hosts: host1:5432,host2:5432
                for host in urlsplit(value).netloc.rpartition("@")[2].split(","):
                    _ = urlsplit(f"//{host}").port  # raises what is no number
            else:
                make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError(
                "can't be read; write postgresql+asyncpg://user:password@host:5432/name"
            ) from None
        if value.startswith("postgresql"):
            check_parameters(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(
            ("redis://", "rediss://", "unix://")
        ):
            raise ValueError("must be like redis://user:password@host:6379/0")
        return value

    @field_validator("storage_url")
    @classmethod
    def _known_storage(cls, value: str) -> str:
        if value and not re.fullmatch(r"s3://[a-z0-9][a-z0-9._-]+(/.*)?", value, re.IGNORECASE):
            raise ValueError("must be like s3://bucket/prefix, or empty for a folder in the data directory")
        return value

    @field_validator("s3_endpoint")
    @classmethod
    def _known_endpoint(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/\s]+/?", value, re.IGNORECASE):
            raise ValueError("must be like https://host:9000, or empty for AWS")
        return value

    @field_validator("outbound_allow")
    @classmethod
    def _known_networks(cls, value: str) -> str:
        for part in (text.strip() for text in value.split(",") if "/" in text):
            try:
                ip_network(part, strict=False)
            except ValueError:
                raise ValueError(
                    f"{part} is no network; write 10.0.0.0/8, 192.168.1.5 or a host name"
                ) from None
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _known_proxies(cls, value: str) -> str:
        for part in _split_text(value):
            try:
                ip_network(part, strict=False)
            except ValueError:
                raise ValueError(
                    f"{part} is no address or network; write 10.0.0.5 or 172.16.0.0/12"
                ) from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _known_origins(cls, value: str) -> str:
        parts = _split_text(value)
        if ANY_ORIGIN in parts and len(parts) > 1:
            raise ValueError("* allows every origin; leave out the others, or write them without it")
        return ",".join(part if part == ANY_ORIGIN else read_origin(part) for part in parts)

    @property
    def origins(self) -> list[str]:
        return _split_text(self.cors_origins)

    @property
    def proxy_networks(self) -> list[str]:
        """As networks, each IPv4 network also as a socket for both versions writes it (``::ffff:10.0.0.0/104``)."""
        networks = [ip_network(part, strict=False) for part in _split_text(self.trusted_proxies)]
        mapped = [
            f"::ffff:{each.network_address}/{96 + each.prefixlen}" for each in networks if each.version == 4
        ]
        return [*map(str, networks), *mapped]

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir.resolve() / 'filmgate.db'}"

    @property
    def wait_seconds(self) -> float:
        return self.queue_deadline_seconds or self.task_deadline_seconds

    @property
    def old_secrets(self) -> list[str]:
        return _split_list(self.old_secret_keys)

    @property
    def own_address(self) -> str:
        """The origin for a browser: the public address, or one of this machine."""
        return str(self.public_url or local_address(self.host, self.port)).rstrip("/")

    @property
    def outbound_allow_list(self) -> tuple[str, ...]:
        return tuple(_split_text(self.outbound_allow))


def _is_blank_value(value: object) -> bool:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return isinstance(text, str) and is_blank(text)


def _split_list(value: SecretStr | None) -> list[str]:
    return _split_text(value.get_secret_value() if value else "")


def _split_text(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def local_address(host: str, port: int) -> str:
    """The URL for this machine; a wildcard address becomes the loopback address."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}"


def mask_address(text: str) -> str:
    """An address without its secrets, which stand before the host or among the parameters (``?password=…``)."""
    return QUERY_SECRET.sub(r"\1•••", USER_PASSWORD.sub(r"\1:•••@", text))


def describe_settings(settings: Settings) -> list[dict[str, Any]]:
    """Every setting with its value as text, for people. Secrets only say whether they are set."""
    rows: list[dict[str, Any]] = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        is_secret = "SecretStr" in str(field.annotation)
        text = "" if value is None else mask_address(str(value))
        entry = {"name": f"FILMGATE_{name.upper()}", "value": "•••" if is_secret and value else text}
        rows.append(entry | {"set": name in settings.model_fields_set, "secret": is_secret})
    return rows


def _forget_blank_credentials() -> None:
    """The object store's client reads the ``AWS_`` variables itself, and signs with an empty one as if it were a key."""
    for name in [name for name, value in os.environ.items() if name.startswith("AWS_") and is_blank(value)]:
        del os.environ[name]


def load_settings() -> Settings:
    """Read the environment. Raises ``SettingsInvalid`` with one line that names the variable."""
    _forget_blank_credentials()
    try:
        return Settings()
    except ValidationError as error:
        field, text = describe_problem(error.errors()[0])
        raise SettingsInvalid(f"FILMGATE_{field.replace('.', '_').upper()}: {text}") from error
