"""Client keys in a backup: their terms and the hashes that know their secrets again, never the secrets."""

from functools import partial
from typing import Any

from app.backup.holdings import DECLARED, Change, Holdings
from app.backup.sealing import Box
from app.errors import InvalidRequest
from app.keys.key import Key
from app.keys.records import KeyRecord, insert, read_record, records
from app.keys.terms import Terms

STRANGE = (
    "its secret was made under another root key and does not work here: `filmgate keys rotate {}` gives it a "
    "new one"
)


class Keys:
    name = "keys"

    async def save(self, held: Holdings, box: Box | None) -> list[dict[str, Any]]:
        async with held.database.read() as connection:
            return [record.model_dump(exclude_defaults=True) for record in await records(connection)]

    async def plan(
        self, held: Holdings, entries: list[dict[str, Any]], *, box: Box | None, own: bool
    ) -> list[Change]:
        async with held.database.read() as connection:
            present = {record.id: record for record in await records(connection)}
        sources = {key.id: key for key in await held.keys.list()}
        found = []
        for entry in entries:
            try:
                record = read_record(entry)
                found.append(self._planned(held, record, present, sources=sources, own=own))
            except InvalidRequest as error:
                found.append(Change(self.name, str(entry.get("id", ""))[:200], "error", error.message))
        return found

    def _planned(
        self,
        held: Holdings,
        record: KeyRecord,
        present: dict[str, KeyRecord],
        *,
        sources: dict[str, Key],
        own: bool,
    ) -> Change:
        terms, known = record.read_terms(), present.get(record.id)
        name = f"{terms.name} ({record.id})"
        if known is None:
            twin = next((other.id for other in present.values() if other.hash == record.hash), None)
            if twin is not None:
                return Change(self.name, name, "same", f"the same secret is here already, as {twin}")
            message = "" if own else STRANGE.format(record.id)
            return Change(self.name, name, "new", message, partial(_insert, held, record))
        before = known.read_terms()
        fields = [field for field in Terms.model_fields if getattr(before, field) != getattr(terms, field)]
        rotated = "its hash here is a later one, and stays" if own and known.hash != record.hash else ""
        if not fields:
            return Change(self.name, name, "same", rotated)
        if sources[record.id].source == "file":
            raise InvalidRequest(DECLARED)
        changes = {field: getattr(terms, field) for field in fields}
        message = "; ".join(filter(None, [", ".join(fields), rotated]))
        return Change(self.name, name, "changed", message, partial(held.keys.update, record.id, changes))


async def _insert(held: Holdings, record: KeyRecord) -> None:
    async with held.database.write() as connection:
        await insert(connection, record)
