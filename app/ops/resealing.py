"""Seals every secret of the store with the current root key. After that the old key is no longer needed."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.db.operator_tables import admins, options, projects
from app.db.session import Database
from app.db.tables import accounts, webhook_endpoints
from app.options import SEALED, opened_values
from app.vault import (
    Vault,
    account_proxy_place,
    account_secret_place,
    admin_totp_place,
    options_document_place,
    project_secret_place,
    webhook_secret_place,
)

Reseal = Callable[[str, str], str]
"""Takes a sealed value and its place; returns the value sealed with the current root."""


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table with sealed columns, each with a function that reseals its text for the row with a given key."""

    table: sa.Table
    columns: Mapping[str, Callable[[str, str, Reseal], str]]

    @property
    def key_column(self) -> sa.Column[Any]:
        [key] = self.table.primary_key.columns
        return key

    def select_rows(self) -> sa.Select[Any]:
        return sa.select(self.key_column, *(self.table.c[name] for name in self.columns))

    def changed_rows(self, rows: Iterable[Any], vault: Vault) -> dict[str, dict[str, str]]:
        """The columns to update, by row key. Raises ``SettingsInvalid`` when no known root opens a value."""
        changes: dict[str, dict[str, str]] = {}
        for row in rows:
            for name, work in self.columns.items():
                text = row._mapping[name]
                fresh = (
                    work(text, row[0], lambda box, place: vault.reseal(box, place=place)) if text else text
                )
                if fresh != text:
                    changes.setdefault(row[0], {})[name] = fresh
        return changes


def _in_document(text: str, name: str, reseal: Reseal) -> str:
    stored = json.loads(text)
    fresh = opened_values(stored, lambda box: {SEALED: reseal(box, options_document_place(name))})
    return text if fresh == stored else json.dumps(fresh)


def _reseal_at(place: Callable[[str], str]) -> Callable[[str, str, Reseal], str]:
    return lambda text, key, reseal: reseal(text, place(key))


SEALED_TABLES = (
    SealedTable(
        accounts,
        {
            "secret": _reseal_at(account_secret_place),
            "proxy": _reseal_at(account_proxy_place),
        },
    ),
    SealedTable(
        webhook_endpoints,
        {
            "secret": _reseal_at(webhook_secret_place),
            "old_secret": _reseal_at(webhook_secret_place),
        },
    ),
    SealedTable(admins, {"totp_secret": _reseal_at(admin_totp_place)}),
    SealedTable(projects, {"credit_secret": _reseal_at(project_secret_place)}),
    SealedTable(options, {"value": _in_document}),
)
"""Every table with sealed values; a test checks that none is missing."""


async def check_sealed_values(database: Database, vault: Vault) -> None:
    """Raises ``SettingsInvalid`` when a sealed value can't be opened. Writes nothing."""
    async with database.read() as connection:
        for sealed in SEALED_TABLES:
            rows = (await connection.execute(sealed.select_rows())).all()
            sealed.changed_rows(rows, vault)


async def reseal_store(database: Database, vault: Vault) -> dict[str, int]:
    """Reseal the store, one transaction per table. Returns the number of updated rows by table."""
    done = {}
    for sealed in SEALED_TABLES:
        async with database.write_many() as connection:
            rows = (await connection.execute(sealed.select_rows().with_for_update())).all()
            changes = sealed.changed_rows(rows, vault)
            for key, fresh in changes.items():
                await connection.execute(
                    sa.update(sealed.table).where(sealed.key_column == key).values(**fresh)
                )
        done[sealed.table.name] = len(changes)
    return done
