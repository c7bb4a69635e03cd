"""Brings every sealed value of the store under the current root key: after that none needs the old one."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.db.operator_tables import options
from app.db.session import Database
from app.db.tables import accounts, webhook_endpoints
from app.options import SEALED, opened_values
from app.vault import (
    Vault,
    account_proxy_place,
    account_secret_place,
    options_document_place,
    webhook_secret_place,
)

Reseal = Callable[[str, str], str]
"""A sealed value and its place, to the value under the current root."""


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table with sealed columns; of each, how its text is brought over in the row of that key."""

    table: sa.Table
    columns: Mapping[str, Callable[[str, str, Reseal], str]]

    @property
    def key_column(self) -> sa.Column[Any]:
        [key] = self.table.primary_key.columns
        return key

    def select_rows(self) -> sa.Select[Any]:
        return sa.select(self.key_column, *(self.table.c[name] for name in self.columns))

    def changed_rows(self, rows: Iterable[Any], vault: Vault) -> dict[str, dict[str, str]]:
        """What to write, by row. Raises ``SettingsInvalid`` for what no known root opens."""
        found: dict[str, dict[str, str]] = {}
        for row in rows:
            for name, work in self.columns.items():
                text = row._mapping[name]
                fresh = (
                    work(text, row[0], lambda box, place: vault.reseal(box, place=place)) if text else text
                )
                if fresh != text:
                    found.setdefault(row[0], {})[name] = fresh
        return found


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
    SealedTable(options, {"value": _in_document}),
)
"""Whatever ``vault.seal`` is called for; a test looks that no table is forgotten."""


async def check_sealed_values(database: Database, vault: Vault) -> None:
    """Raises ``SettingsInvalid`` when something can't be opened; writes nothing."""
    async with database.read() as connection:
        for sealed in SEALED_TABLES:
            rows = (await connection.execute(sealed.select_rows())).all()
            sealed.changed_rows(rows, vault)


async def reseal_store(database: Database, vault: Vault) -> dict[str, int]:
    """How many rows of each table were brought over: one transaction each, nothing to do the second time."""
    done = {}
    for sealed in SEALED_TABLES:
        async with database.write() as connection:
            rows = (await connection.execute(sealed.select_rows().with_for_update())).all()
            changes = sealed.changed_rows(rows, vault)
            for key, fresh in changes.items():
                await connection.execute(
                    sa.update(sealed.table).where(sealed.key_column == key).values(**fresh)
                )
        done[sealed.table.name] = len(changes)
    return done
