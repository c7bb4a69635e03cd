"""Option documents in a backup."""

import json
from functools import partial
from typing import Any

from app.backup.schedule_options import DOCUMENTS, BackupOptions
from app.backup.sealing import SecretBox
from app.backup.sections import BackupStores, RestoreChange
from app.errors import InvalidRequest
from app.options.document import (
    MASK,
    OptionsDocument,
    masked_values,
    opened_values,
    read_document,
    sealed_values,
    with_kept_secrets,
)


class SettingsSection:
    name = "settings"

    async def export_entries(self, held: BackupStores, box: SecretBox | None) -> list[dict[str, Any]]:
        found = []
        for kind in DOCUMENTS:
            value = _exported_document(await held.options.read(kind), box)
            found.append({"name": kind.document, "value": value})
        return found

    async def plan_restore(
        self, held: BackupStores, entries: list[dict[str, Any]], *, box: SecretBox | None, own: bool
    ) -> list[RestoreChange]:
        kinds = {kind.document: kind for kind in DOCUMENTS}
        found = []
        for entry in entries:
            name, value = str(entry.get("name", ""))[:200], entry.get("value")
            try:
                if name not in kinds or not isinstance(value, dict):
                    raise InvalidRequest("this Filmgate has no such settings")
                found.append(await self._plan_document(held, kinds[name], value, box=box))
            except InvalidRequest as error:
                found.append(RestoreChange(self.name, name, "error", error.message))
        return found

    async def _plan_document(
        self, held: BackupStores, kind: type[OptionsDocument], value: dict[str, Any], *, box: SecretBox | None
    ) -> RestoreChange:
        name, old = kind.document, await held.options.read(kind)
        wanted = value
        if box is not None:
            wanted = opened_values(value, lambda text: box.open(str(text), place=f"options/{name}"))
        if kind is BackupOptions:
            # A restored copy of a gateway must not overwrite the backups of the original.
            wanted = {**wanted, "enabled": getattr(old, "enabled", False)}
        new = read_document(kind, with_kept_secrets(wanted, old))
        fields = [field for field in kind.model_fields if getattr(new, field) != getattr(old, field)]
        if not fields:
            return RestoreChange(self.name, name, "same")
        kept = "; secrets stay as they are here" if MASK in json.dumps(value) else ""
        return RestoreChange(
            self.name, name, "changed", ", ".join(fields) + kept, partial(held.options.write, kind, wanted)
        )


def _exported_document(document: OptionsDocument, box: SecretBox | None) -> dict[str, Any]:
    if box is None:
        return masked_values(document)
    return sealed_values(document, partial(box.seal, place=f"options/{document.document}"))
