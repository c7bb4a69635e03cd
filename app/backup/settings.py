"""The operator's documents of options in a backup."""

import json
from functools import partial
from typing import Any

from app.backup.documents import DOCUMENTS, BackupOptions
from app.backup.holdings import Change, Holdings
from app.backup.sealing import Box
from app.errors import InvalidRequest
from app.options.document import MASK, Document, masked, opened, read_document, sealed, with_kept_secrets


class Settings:
    name = "settings"

    async def save(self, held: Holdings, box: Box | None) -> list[dict[str, Any]]:
        found = []
        for kind in DOCUMENTS:
            value = _saved(await held.options.read(kind), box)
            found.append({"name": kind.document, "value": value})
        return found

    async def plan(
        self, held: Holdings, entries: list[dict[str, Any]], *, box: Box | None, own: bool
    ) -> list[Change]:
        kinds = {kind.document: kind for kind in DOCUMENTS}
        found = []
        for entry in entries:
            name, value = str(entry.get("name", ""))[:200], entry.get("value")
            try:
                if name not in kinds or not isinstance(value, dict):
                    raise InvalidRequest("this Filmgate has no such settings")
                found.append(await self._planned(held, kinds[name], value, box=box))
            except InvalidRequest as error:
                found.append(Change(self.name, name, "error", error.message))
        return found

    async def _planned(
        self, held: Holdings, kind: type[Document], value: dict[str, Any], *, box: Box | None
    ) -> Change:
        name, old = kind.document, await held.options.read(kind)
        wanted = value
        if box is not None:
            wanted = opened(value, lambda text: box.open(str(text), place=f"options/{name}"))
        if kind is BackupOptions:
            # A copy of a gateway that is tried out must not send its backups over those of the first.
            wanted = {**wanted, "enabled": getattr(old, "enabled", False)}
        new = read_document(kind, with_kept_secrets(wanted, old))
        fields = [field for field in kind.model_fields if getattr(new, field) != getattr(old, field)]
        if not fields:
            return Change(self.name, name, "same")
        kept = "; secrets stay as they are here" if MASK in json.dumps(value) else ""
        return Change(
            self.name, name, "changed", ", ".join(fields) + kept, partial(held.options.write, kind, wanted)
        )


def _saved(document: Document, box: Box | None) -> dict[str, Any]:
    if box is None:
        return masked(document)
    return sealed(document, partial(box.seal, place=f"options/{document.document}"))
