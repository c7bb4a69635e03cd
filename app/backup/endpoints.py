"""Webhook endpoints in a backup."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app import clock
from app.backup.sealing import SecretBox
from app.backup.sections import (
    BackupSection,
    BackupSources,
    RestoreChange,
    RestoreContext,
    changed_fields,
)
from app.db.tables import webhook_endpoints as table
from app.errors import InvalidRequest
from app.validation import validate_document
from app.vault import webhook_secret_place
from app.webhooks.addresses import check_address
from app.webhooks.event_bodies import ENDPOINT_ID, EVENT_TYPES
from app.webhooks.signing import new_secret

LEFT_OUT = (
    "its secret is not in the backup: rotate the secret, give the new one to the receiver, and enable it"
)
CHANGEABLE = ("name", "url", "event_types", "enabled", "disabled_reason")


class EndpointRecord(BaseModel):
    """One endpoint in a backup; ``sealed`` is its secret."""

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
    def _check_event_types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not set(value) <= set(EVENT_TYPES):
            raise ValueError(f"may hold {', '.join(EVENT_TYPES)}")
        return tuple(sorted(set(value)))


class EndpointSection(BackupSection[EndpointRecord]):
    name = "webhook_endpoints"
    entry_key = "id"

    async def export_entries(self, sources: BackupSources, box: SecretBox | None) -> list[dict[str, Any]]:
        records = [_record_of_row(row, sources, box) for row in await _read_rows(sources)]
        return [record.model_dump(exclude_defaults=True, mode="json") for record in records]

    async def read_stored(self, sources: BackupSources) -> Mapping[str, EndpointRecord]:
        return {row.id: _record_of_row(row, sources, None) for row in await _read_rows(sources)}

    async def plan_entry(
        self, context: RestoreContext, entry: dict[str, Any], stored: Mapping[str, EndpointRecord]
    ) -> RestoreChange:
        record, box, sources = _read_record(entry), context.box, context.sources
        known, name = stored.get(record.id), f"{record.name} ({record.id})"
        if known is None:
            secret = box.open(record.sealed, place=f"endpoints/{record.id}") if box and record.sealed else ""
            action = partial(_insert_endpoint, sources, record, secret)
            return RestoreChange(self.name, name, "new", "" if secret else LEFT_OUT, action)
        if known.owner != record.owner:
            raise InvalidRequest(f"owner: the endpoint belongs to {known.owner} here")
        fields = changed_fields(known, record, CHANGEABLE)
        if not fields:
            return RestoreChange(self.name, name, "same")
        action = partial(_update_endpoint, sources, record)
        return RestoreChange(self.name, name, "changed", ", ".join(fields), action)


async def _read_rows(sources: BackupSources) -> Sequence[Any]:
    async with sources.database.read() as connection:
        return (await connection.execute(sa.select(table).order_by(table.c.id))).all()


def _record_of_row(row: Any, sources: BackupSources, box: SecretBox | None) -> EndpointRecord:
    secret = sources.vault.unseal(row.secret, place=webhook_secret_place(row.id)) if box else ""
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


def _read_record(entry: dict[str, Any]) -> EndpointRecord:
    record = validate_document(EndpointRecord, entry, whole="endpoint")
    check_address(record.url, param="url")
    return record


def _changeable_columns(record: EndpointRecord) -> dict[str, Any]:
    columns = {field: getattr(record, field) for field in CHANGEABLE}
    return columns | {"event_types": json.dumps(record.event_types), "updated_at": clock.now()}


async def _insert_endpoint(sources: BackupSources, record: EndpointRecord, secret: str) -> None:
    sealed = sources.vault.seal(secret or new_secret(), place=webhook_secret_place(record.id))
    fixed = {"id": record.id, "owner": record.owner, "created_at": record.created_at, "secret": sealed}
    off = {} if secret else {"enabled": False, "disabled_reason": LEFT_OUT}
    async with sources.database.write() as connection:
        await connection.execute(sa.insert(table), {**_changeable_columns(record), **fixed, **off})


async def _update_endpoint(sources: BackupSources, record: EndpointRecord) -> None:
    async with sources.database.write() as connection:
        await connection.execute(
            sa.update(table).where(table.c.id == record.id).values(_changeable_columns(record))
        )
