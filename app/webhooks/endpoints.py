"""Webhook endpoints that keys register: their URLs, event types and signing secrets."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app import clock
from app.db.connection import AsyncConnection
from app.db.session import Database
from app.db.tables import webhook_endpoints
from app.errors import InvalidRequest, MissingField, NotFound, SettingsInvalid
from app.vault import Vault, webhook_secret_place
from app.webhooks import outbox
from app.webhooks.addresses import check_address
from app.webhooks.endpoint_health import (
    WITH_FAILURES,
    EndpointFailure,
    failure_of,
    forget_failures,
    note_call,
)
from app.webhooks.event_bodies import ENDPOINT_ID, EVENT_TYPES, new_id, thin_event
from app.webhooks.sender import AttemptOutcome, WebhookMessage, WebhookSender
from app.webhooks.signing import encode_secret, new_secret

MAX_PER_OWNER = 50
MAX_NAME_LENGTH = 200
OVERLAP_SECONDS = 86_400.0
UNREADABLE_HINT = "whsec_?"
"""In place of a secret's end: this root key does not open it."""
"""How long the old secret signs as well after a rotation, when the owner asks for it."""
SAMPLE_ID = "0" * 32
_table = webhook_endpoints.c


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """An endpoint without its secret. Times are UTC seconds; ``hint`` shows the end of the secret."""

    id: str
    owner: str
    name: str
    url: str
    event_types: tuple[str, ...]
    enabled: bool
    disabled_reason: str | None
    created_at: float
    updated_at: float
    hint: str
    failing: EndpointFailure | None


class EndpointRepository:
    """Reads and changes endpoints of one owner. Those of other owners raise ``NotFound``."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        sender: WebhookSender,
        *,
        plain: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """``plain``: whether a host may be called without encryption."""
        self._database = database
        self._vault = vault
        self._sender = sender
        self._plain = plain

    async def create(
        self, owner: str, *, name: str, url: str, event_types: Sequence[str]
    ) -> tuple[WebhookEndpoint, str]:
        """The endpoint, and its secret in the clear. Raises ``InvalidRequest``."""
        now = clock.now()
        endpoint_id, secret = new_id("we"), new_secret()
        row = {
            "id": endpoint_id,
            "owner": owner,
            "name": _checked_name(name),
            "url": self._checked_address(url),
            "event_types": _checked_event_types(event_types),
            "secret": self._seal_secret(endpoint_id, secret),
            "created_at": now,
            "updated_at": now,
        }
        own = sa.select(sa.func.count()).where(_table.owner == owner)
        async with self._database.write() as connection:
            if (await connection.execute(own)).scalar_one() >= MAX_PER_OWNER:
                raise InvalidRequest(
                    f"There are {MAX_PER_OWNER} webhook endpoints already; delete one first."
                )
            await connection.execute(sa.insert(webhook_endpoints), row)
            return await self._read_endpoint(connection, endpoint_id, owner=owner), secret

    async def get(self, endpoint_id: str, *, owner: str) -> WebhookEndpoint:
        async with self._database.read() as connection:
            return await self._read_endpoint(connection, endpoint_id, owner=owner)

    async def page(self, owner: str, *, after: str | None, limit: int) -> tuple[list[WebhookEndpoint], bool]:
        """Newest first, those after the id ``after``, and whether more follow. Raises ``InvalidRequest``."""
        query = WITH_FAILURES.where(_table.owner == owner)
        if after is not None:
            if not ENDPOINT_ID.fullmatch(after):
                raise InvalidRequest("after must be the id of a webhook endpoint", param="after")
            query = query.where(_table.id < after)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(_table.id.desc()).limit(limit + 1))).all()
        return [self._endpoint_of(row) for row in rows[:limit]], len(rows) > limit

    async def update(
        self,
        endpoint_id: str,
        *,
        owner: str,
        name: str | None = None,
        url: str | None = None,
        event_types: Sequence[str] | None = None,
    ) -> WebhookEndpoint:
        """Change the fields that are given. Any update enables a disabled endpoint again."""
        wanted: dict[str, Any] = {"enabled": True, "disabled_reason": None}
        if name is not None:
            wanted["name"] = _checked_name(name)
        if url is not None:
            wanted["url"] = self._checked_address(url)
        if event_types is not None:
            wanted["event_types"] = _checked_event_types(event_types)
        async with self._database.write() as connection:
            row = await self._owned_row(connection, endpoint_id, owner=owner)
            changed = {field: value for field, value in wanted.items() if row._mapping[field] != value}
            if "url" in changed or "enabled" in changed:
                await forget_failures(connection, endpoint_id)
            if changed:
                await self._update_row(connection, endpoint_id, **changed)
            if "url" in changed:
                await outbox.redirect_pending(connection, endpoint_id, url=changed["url"])
            return await self._read_endpoint(connection, endpoint_id, owner=owner)

    async def delete(self, endpoint_id: str, *, owner: str) -> None:
        async with self._database.write() as connection:
            await self._owned_row(connection, endpoint_id, owner=owner)
            await forget_failures(connection, endpoint_id)
            await connection.execute(sa.delete(webhook_endpoints).where(_table.id == endpoint_id))
            await outbox.fail_pending(connection, endpoint_id)

    async def rotate_secret(
        self, endpoint_id: str, *, owner: str, keep_old: bool
    ) -> tuple[WebhookEndpoint, str]:
        """A new secret, in the clear. With ``keep_old`` the old one signs as well for 24 hours."""
        secret = new_secret()
        async with self._database.write() as connection:
            row = await self._owned_row(connection, endpoint_id, owner=owner)
            old = {"old_secret": row.secret, "old_until": clock.now() + OVERLAP_SECONDS}
            if not keep_old or self._hint_of(row) == UNREADABLE_HINT:
                old = {"old_secret": None, "old_until": None}
            await self._update_row(
                connection, endpoint_id, secret=self._seal_secret(endpoint_id, secret), **old
            )
            return await self._read_endpoint(connection, endpoint_id, owner=owner), secret

    async def send_sample(self, endpoint_id: str, *, owner: str, event: str) -> AttemptOutcome:
        """Send a sample event at once, outside the outbox; its outcome. One that arrives ends what failed before."""
        if event not in EVENT_TYPES:
            raise InvalidRequest(f"event_type must be one of {', '.join(EVENT_TYPES)}", param="event_type")
        async with self._database.read() as connection:
            row = await self._owned_row(connection, endpoint_id, owner=owner)
        body = thin_event(event, SAMPLE_ID, at=clock.now()).encode()
        outcome = await self._sender.send(
            WebhookMessage(new_id("wh"), row.url, body, self._valid_secrets(row))
        )
        if outcome.is_delivered and row.calls:
            async with self._database.write() as connection:
                await note_call(connection, endpoint_id, outcome, now=clock.now())
        return outcome

    async def disable(self, endpoint_id: str, *, reason: str) -> None:
        """Stop deliveries to it until its owner updates it."""
        async with self._database.write() as connection:
            await self._update_row(connection, endpoint_id, enabled=False, disabled_reason=reason)
            await outbox.fail_pending(connection, endpoint_id)

    async def valid_secrets(self, endpoint_id: str | None, *, owner: str) -> list[str]:
        """Secrets that sign for an endpoint, newest first, or for the hooks of an owner's tasks (None).

        Empty when the endpoint is gone. Raises ``SettingsInvalid`` under another root key.
        """
        if endpoint_id is None:
            return [encode_secret(key) for key in self._vault.derive_keys(_hook_purpose(owner))]
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(webhook_endpoints).where(_table.id == endpoint_id))
            row = found.first()
        return self._valid_secrets(row) if row is not None else []

    def hook_secret(self, owner: str) -> str:
        """The secret that signs all hooks of an owner's tasks. It is derived from the root key, not stored."""
        return encode_secret(self._vault.derive_key(_hook_purpose(owner)))

    async def _owned_row(self, connection: AsyncConnection, endpoint_id: str, *, owner: str) -> Any:
        row = None
        if ENDPOINT_ID.fullmatch(endpoint_id):
            query = WITH_FAILURES.where(_table.id == endpoint_id, _table.owner == owner)
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"No such webhook endpoint: {endpoint_id[:100]}")
        return row

    async def _read_endpoint(
        self, connection: AsyncConnection, endpoint_id: str, *, owner: str
    ) -> WebhookEndpoint:
        return self._endpoint_of(await self._owned_row(connection, endpoint_id, owner=owner))

    async def _update_row(self, connection: AsyncConnection, endpoint_id: str, **values: Any) -> None:
        change = sa.update(webhook_endpoints).where(_table.id == endpoint_id)
        await connection.execute(change.values(updated_at=clock.now(), **values))

    def _checked_address(self, url: str) -> str:
        return check_address(url, param="url", plain=self._plain)

    def _seal_secret(self, endpoint_id: str, secret: str) -> str:
        return self._vault.seal(secret, place=webhook_secret_place(endpoint_id))

    def _valid_secrets(self, row: Any) -> list[str]:
        sealed = [row.secret]
        if row.old_secret is not None and (row.old_until or 0) > clock.now():
            sealed.append(row.old_secret)
        return [self._vault.unseal(text, place=webhook_secret_place(row.id)) for text in sealed]

    def _hint_of(self, row: Any) -> str:
        """One endpoint whose secret can't be opened must not hide the others: a new secret mends it."""
        try:
            return f"whsec_…{self._valid_secrets(row)[0][-4:]}"
        except SettingsInvalid:
            return UNREADABLE_HINT

    def _endpoint_of(self, row: Any) -> WebhookEndpoint:
        return WebhookEndpoint(
            id=row.id,
            owner=row.owner,
            name=row.name,
            url=row.url,
            event_types=tuple(json.loads(row.event_types)),
            enabled=row.enabled,
            disabled_reason=row.disabled_reason,
            created_at=row.created_at,
            updated_at=row.updated_at,
            hint=self._hint_of(row),
            failing=failure_of(row),
        )


def _hook_purpose(owner: str) -> str:
    return f"notify-hook/{owner}"


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise MissingField("name")
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(f"name must be at most {MAX_NAME_LENGTH} printable characters", param="name")
    return name


def _checked_event_types(event_types: Sequence[str]) -> str:
    if not event_types:
        raise MissingField("event_types")
    if not set(event_types) <= set(EVENT_TYPES):
        raise InvalidRequest(f"event_types may hold {', '.join(EVENT_TYPES)}", param="event_types")
    return json.dumps(sorted(set(event_types)))
