"""Option documents in a backup."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from app.backup.schedule_options import DOCUMENTS, BackupOptions
from app.backup.sealing import SecretBox
from app.backup.sections import (
    BackupSection,
    BackupSources,
    RestoreChange,
    RestoreContext,
    changed_fields,
)
from app.errors import InvalidRequest
from app.options import (
    MASK,
    OptionsDocument,
    masked_values,
    opened_values,
    read_document,
    sealed_values,
    with_kept_secrets,
)
from app.receipt_keys import ReceiptKeys, joined_keys

BACKED_UP: tuple[type[OptionsDocument], ...] = (*DOCUMENTS, ReceiptKeys)
"""What the operator sets, and the keys of receipts."""


class SettingsSection(BackupSection[OptionsDocument]):
    name = "settings"
    entry_key = "name"

    async def export_entries(self, sources: BackupSources, box: SecretBox | None) -> list[dict[str, Any]]:
        documents = await self.read_stored(sources)
        return [{"name": name, "value": _exported_document(each, box)} for name, each in documents.items()]

    async def read_stored(self, sources: BackupSources) -> Mapping[str, OptionsDocument]:
        return {kind.document: await sources.options.read(kind) for kind in BACKED_UP}

    async def plan_entry(
        self, context: RestoreContext, entry: dict[str, Any], stored: Mapping[str, OptionsDocument]
    ) -> RestoreChange:
        name, value, box = self.key_of(entry), entry.get("value"), context.box
        old = stored.get(name)
        if old is None or not isinstance(value, dict):
            raise InvalidRequest("this Filmgate has no such settings")
        values = value
        if box is not None:
            values = opened_values(value, lambda text: box.open(str(text), place=f"options/{name}"))
        if isinstance(old, BackupOptions):
            # A restored copy of a gateway must not overwrite the backups of the original.
            values = {**values, "enabled": old.enabled}
        if isinstance(old, ReceiptKeys):
            kept_values = with_kept_secrets(values, old)
            values = {"keys": joined_keys(old, read_document(ReceiptKeys, kept_values))}
        new = read_document(type(old), with_kept_secrets(values, old))
        fields = changed_fields(new, old, type(old).model_fields)
        if not fields:
            return RestoreChange(self.name, name, "same")
        kept = "; secrets stay as they are here" if MASK in json.dumps(value) else ""
        action = partial(context.sources.options.write, type(old), values)
        return RestoreChange(self.name, name, "changed", ", ".join(fields) + kept, action)


def _exported_document(document: OptionsDocument, box: SecretBox | None) -> dict[str, Any]:
    if box is None:
        return masked_values(document)
    return sealed_values(document, partial(box.seal, place=f"options/{document.document}"))
