"""Webhook endpoints in a backup."""

import json
import time
from functools import partial
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.backup.sealing import SecretBox
from app.backup.sections import BackupStores, RestoreChange
from app.db import sealed as sealed_places
from app.db.tables import webhook_endpoints as table
from app.errors import InvalidRequest
from app.validation import validate_document
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


class EndpointSection:
    name = "webhook_endpoints"

    async def export_entries(self, held: BackupStores, box: SecretBox | None) -> list[dict[str, Any]]:
        async with held.database.read() as connection:
            rows = (await connection.execute(sa.select(table).order_by(table.c.id))).all()
        return [_record_of_row(row, held, box).model_dump(exclude_defaults=True, mode="json") for row in rows]

    async def plan_restore(
        self, held: BackupStores, entries: list[dict[str, Any]], *, box: SecretBox | None, own: bool
    ) -> list[RestoreChange]:
        async with held.database.read() as connection:
            rows = (await connection.execute(sa.select(table))).all()
        present = {row.id: _record_of_row(row, held, None) for row in rows}
        found = []
        for entry in entries:
            try:
                found.append(self._plan_entry(held, _read_record(entry), present, box=box))
            except InvalidRequest as error:
                found.append(RestoreChange(self.name, str(entry.get("id", ""))[:200], "error", error.message))
        return found

    def _plan_entry(
        self,
        held: BackupStores,
        record: EndpointRecord,
        present: dict[str, EndpointRecord],
        *,
        box: SecretBox | None,
    ) -> RestoreChange:
        known, name = present.get(record.id), f"{record.name} ({record.id})"
        if known is None:
            secret = box.open(record.sealed, place=f"endpoints/{record.id}") if box and record.sealed else ""
            return RestoreChange(
                self.name,
                name,
                "new",
                "" if secret else LEFT_OUT,
                partial(_insert_endpoint, held, record, secret),
            )
        if known.owner != record.owner:
            raise InvalidRequest(f"owner: the endpoint belongs to {known.owner} here")
        fields = [field for field in CHANGEABLE if getattr(known, field) != getattr(record, field)]
        if not fields:
            return RestoreChange(self.name, name, "same")
        return RestoreChange(
            self.name, name, "changed", ", ".join(fields), partial(_update_endpoint, held, record)
        )


def _record_of_row(row: Any, held: BackupStores, box: SecretBox | None) -> EndpointRecord:
    secret = held.vault.unseal(row.secret, place=sealed_places.webhook_secret_place(row.id)) if box else ""
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
    found = {field: getattr(record, field) for field in CHANGEABLE}
    return found | {"event_types": json.dumps(record.event_types), "updated_at": time.time()}


async def _insert_endpoint(held: BackupStores, record: EndpointRecord, secret: str) -> None:
    sealed = held.vault.seal(secret or new_secret(), place=sealed_places.webhook_secret_place(record.id))
    fixed = {"id": record.id, "owner": record.owner, "created_at": record.created_at, "secret": sealed}
    off = {} if secret else {"enabled": False, "disabled_reason": LEFT_OUT}
    async with held.database.write() as connection:
        await connection.execute(sa.insert(table), {**_changeable_columns(record), **fixed, **off})


async def _update_endpoint(held: BackupStores, record: EndpointRecord) -> None:
    async with held.database.write() as connection:
        await connection.execute(
            sa.update(table).where(table.c.id == record.id).values(_changeable_columns(record))
        )
