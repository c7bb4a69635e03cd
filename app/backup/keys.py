"""Client keys in a backup: their terms and keyed hashes, never the secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.backup.sealing import SecretBox
from app.backup.sections import (
    DECLARED,
    BackupSection,
    BackupSources,
    RestoreChange,
    RestoreContext,
    changed_fields,
)
from app.errors import InvalidRequest
from app.keys.key import KeyTerms
from app.keys.records import KeyRecord, insert_record, read_all, read_record

OTHER_ROOT_KEY = (
    "its secret was made under another root key and does not work here: `filmgate keys rotate {}` gives it a "
    "new one"
)


@dataclass(frozen=True, slots=True)
class StoredKey:
    record: KeyRecord
    source: str
    """``file`` or ``store``."""


class KeySection(BackupSection[StoredKey]):
    name = "keys"
    entry_key = "id"

    async def export_entries(self, sources: BackupSources, box: SecretBox | None) -> list[dict[str, Any]]:
        async with sources.database.read() as connection:
            return [record.model_dump(exclude_defaults=True) for record in await read_all(connection)]

    async def read_stored(self, sources: BackupSources) -> Mapping[str, StoredKey]:
        async with sources.database.read() as connection:
            records = await read_all(connection)
        known = {key.id: key.source for key in await sources.keys.list()}
        return {record.id: StoredKey(record, known.get(record.id, "store")) for record in records}

    async def plan_entry(
        self, context: RestoreContext, entry: dict[str, Any], stored: Mapping[str, StoredKey]
    ) -> RestoreChange:
        record = read_record(entry)
        known = stored.get(record.id)
        if known is None:
            return self._plan_insert(context, record, stored)
        before, terms = known.record.read_terms(), record.read_terms()
        name = f"{terms.name} ({record.id})"
        fields = changed_fields(before, terms, KeyTerms.model_fields)
        rotated = context.own_root_key and known.record.hash != record.hash
        message = "the key here has a newer secret, which stays" if rotated else ""
        if not fields:
            return RestoreChange(self.name, name, "same", message)
        if known.source == "file":
            raise InvalidRequest(DECLARED)
        message = "; ".join(filter(None, [", ".join(fields), message]))
        changes = {field: getattr(terms, field) for field in fields}
        action = partial(context.sources.keys.update, record.id, changes)
        return RestoreChange(self.name, name, "changed", message, action)

    def _plan_insert(
        self, context: RestoreContext, record: KeyRecord, stored: Mapping[str, StoredKey]
    ) -> RestoreChange:
        name = f"{record.read_terms().name} ({record.id})"
        twin = next((key for key, other in stored.items() if other.record.hash == record.hash), None)
        if twin is not None:
            return RestoreChange(
                self.name, name, "same", f"a key with the same secret exists already: {twin}"
            )
        message = "" if context.own_root_key else OTHER_ROOT_KEY.format(record.id)
        return RestoreChange(self.name, name, "new", message, partial(_insert_key, context.sources, record))


async def _insert_key(sources: BackupSources, record: KeyRecord) -> None:
    async with sources.database.write() as connection:
        await insert_record(connection, record)
