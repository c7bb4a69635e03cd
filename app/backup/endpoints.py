"""Webhook endpoints in a backup."""

import json
import time
from functools import partial
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.backup.holdings import Change, Holdings
from app.backup.sealing import Box
from app.db import sealed as sealed_places
from app.db.tables import webhook_endpoints as table
from app.documents import read
from app.errors import InvalidRequest
from app.webhooks.addresses import check_address
from app.webhooks.events import ENDPOINT_ID, EVENT_TYPES
from app.webhooks.signing import new_secret

LEFT_OUT = "its secret is not in the backup: give it a new one, tell the receiver, and enable it"
CHANGEABLE = ("name", "url", "event_types", "enabled", "disabled_reason")


class EndpointRecord(BaseModel):
    """``sealed`` is its secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=ENDPOINT_ID.pattern)
    owner: str = Field(min_length=1, max_length=200)
    name: str = Field(min_length=1, max_length=200)
    url: str
    event_types: tuple[str, ...]
    enabled: bool = True
    disabled_reason: str | None = None
    created_at: float = Field(ge=0, le=1e11, allow_inf_nan=False)
    sealed: str = ""

    @field_validator("event_types")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not set(value) <= set(EVENT_TYPES):
            raise ValueError(f"may hold {', '.join(EVENT_TYPES)}")
        return tuple(sorted(set(value)))


class Endpoints:
    name = "webhook_endpoints"

    async def save(self, held: Holdings, box: Box | None) -> list[dict[str, Any]]:
        async with held.database.read() as connection:
            rows = (await connection.execute(sa.select(table).order_by(table.c.id))).all()
        return [_record(row, held, box).model_dump(exclude_defaults=True, mode="json") for row in rows]

    async def plan(
        self, held: Holdings, entries: list[dict[str, Any]], *, box: Box | None, own: bool
    ) -> list[Change]:
        async with held.database.read() as connection:
            rows = (await connection.execute(sa.select(table))).all()
        present = {row.id: _record(row, held, None) for row in rows}
        found = []
        for entry in entries:
            try:
                found.append(self._planned(held, _read(entry), present, box=box))
            except InvalidRequest as error:
                found.append(Change(self.name, str(entry.get("id", ""))[:200], "error", error.message))
        return found

    def _planned(
        self, held: Holdings, record: EndpointRecord, present: dict[str, EndpointRecord], *, box: Box | None
    ) -> Change:
        known, name = present.get(record.id), f"{record.name} ({record.id})"
        if known is None:
            secret = box.open(record.sealed, place=f"endpoints/{record.id}") if box and record.sealed else ""
            return Change(
                self.name, name, "new", "" if secret else LEFT_OUT, partial(_insert, held, record, secret)
            )
        if known.owner != record.owner:
            raise InvalidRequest(f"owner: it is {known.owner}'s here")
        fields = [field for field in CHANGEABLE if getattr(known, field) != getattr(record, field)]
        if not fields:
            return Change(self.name, name, "same")
        return Change(self.name, name, "changed", ", ".join(fields), partial(_update, held, record))


def _record(row: Any, held: Holdings, box: Box | None) -> EndpointRecord:
    secret = held.vault.unseal(row.secret, place=sealed_places.webhook_secret(row.id)) if box else ""
    return EndpointRecord(
        id=row.id,
        owner=row.owner,
        name=row.name,
        url=row.url,
        event_types=tuple(json.loads(row.event_types)),
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        created_at=row.created_at,
        sealed=box.seal(secret, place=f"endpoints/{row.id}") if box else "",
    )


def _read(entry: dict[str, Any]) -> EndpointRecord:
    record = read(EndpointRecord, entry, whole="endpoint")
    check_address(record.url, param="url")
    return record


def _columns(record: EndpointRecord) -> dict[str, Any]:
    found = {field: getattr(record, field) for field in CHANGEABLE}
    return found | {"event_types": json.dumps(record.event_types), "updated_at": time.time()}


async def _insert(held: Holdings, record: EndpointRecord, secret: str) -> None:
    sealed = held.vault.seal(secret or new_secret(), place=sealed_places.webhook_secret(record.id))
    fixed = {"id": record.id, "owner": record.owner, "created_at": record.created_at, "secret": sealed}
    off = {} if secret else {"enabled": False, "disabled_reason": LEFT_OUT}
    async with held.database.write() as connection:
        await connection.execute(sa.insert(table), {**_columns(record), **fixed, **off})


async def _update(held: Holdings, record: EndpointRecord) -> None:
    async with held.database.write() as connection:
        await connection.execute(sa.update(table).where(table.c.id == record.id).values(_columns(record)))
