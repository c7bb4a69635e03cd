"""Client keys in a backup: their terms and keyed hashes, never the secrets."""

from functools import partial
from typing import Any

from app.backup.sealing import SecretBox
from app.backup.sections import DECLARED, BackupStores, RestoreChange
from app.errors import InvalidRequest
from app.keys.key import ClientKey
from app.keys.records import KeyRecord, insert_record, read_all, read_record
from app.keys.terms import KeyTerms

OTHER_ROOT_KEY = (
    "its secret was made under another root key and does not work here: `filmgate keys rotate {}` gives it a "
    "new one"
)


class KeySection:
    name = "keys"

    async def export_entries(self, held: BackupStores, box: SecretBox | None) -> list[dict[str, Any]]:
        async with held.database.read() as connection:
            return [record.model_dump(exclude_defaults=True) for record in await read_all(connection)]

    async def plan_restore(
        self, held: BackupStores, entries: list[dict[str, Any]], *, box: SecretBox | None, own: bool
    ) -> list[RestoreChange]:
        async with held.database.read() as connection:
            present = {record.id: record for record in await read_all(connection)}
        sources = {key.id: key for key in await held.keys.list()}
        found = []
        for entry in entries:
            try:
                record = read_record(entry)
                found.append(self._plan_entry(held, record, present, sources=sources, own=own))
            except InvalidRequest as error:
                found.append(RestoreChange(self.name, str(entry.get("id", ""))[:200], "error", error.message))
        return found

    def _plan_entry(
        self,
        held: BackupStores,
        record: KeyRecord,
        present: dict[str, KeyRecord],
        *,
        sources: dict[str, ClientKey],
        own: bool,
    ) -> RestoreChange:
        terms, known = record.read_terms(), present.get(record.id)
        name = f"{terms.name} ({record.id})"
        if known is None:
            twin = next((other.id for other in present.values() if other.hash == record.hash), None)
            if twin is not None:
                return RestoreChange(
                    self.name, name, "same", f"a key with the same secret exists already: {twin}"
                )
            message = "" if own else OTHER_ROOT_KEY.format(record.id)
            return RestoreChange(self.name, name, "new", message, partial(_insert_key, held, record))
        before = known.read_terms()
        fields = [field for field in KeyTerms.model_fields if getattr(before, field) != getattr(terms, field)]
        rotated = "the key here has a newer secret, which stays" if own and known.hash != record.hash else ""
        if not fields:
            return RestoreChange(self.name, name, "same", rotated)
        if sources[record.id].source == "file":
            raise InvalidRequest(DECLARED)
        changes = {field: getattr(terms, field) for field in fields}
        message = "; ".join(filter(None, [", ".join(fields), rotated]))
        return RestoreChange(
            self.name, name, "changed", message, partial(held.keys.update, record.id, changes)
        )


async def _insert_key(held: BackupStores, record: KeyRecord) -> None:
    async with held.database.write() as connection:
        await insert_record(connection, record)
