"""Upstream accounts in a backup."""

import json
from collections.abc import Mapping
from typing import Any

from app.accounts.definition import AccountChange, AccountDraft
from app.accounts.formats import export_documents
from app.accounts.status import AccountStatus
from app.backup.sealing import SecretBox
from app.backup.sections import (
    DECLARED,
    BackupSection,
    BackupSources,
    RestoreChange,
    RestoreContext,
)
from app.errors import InvalidRequest
from app.validation import validate_document

LEFT_OUT = "its secret is not in the backup: it stays disabled until you enter it"


class AccountSection(BackupSection[AccountStatus]):
    name = "accounts"
    entry_key = "name"

    async def export_entries(self, sources: BackupSources, box: SecretBox | None) -> list[dict[str, Any]]:
        statuses = await sources.accounts.list_all()
        return [
            _exported_entry(each, box) for each in statuses if not sources.pool.is_embedded(each.account.id)
        ]

    async def read_stored(self, sources: BackupSources) -> Mapping[str, AccountStatus]:
        return {status.account.name: status for status in await sources.accounts.list_all()}

    async def plan_entry(
        self, context: RestoreContext, entry: dict[str, Any], stored: Mapping[str, AccountStatus]
    ) -> RestoreChange:
        name, sources, left_out = self.key_of(entry), context.sources, _left_out(entry)
        draft = validate_document(AccountDraft, _open_secrets(entry, name, context.box), whole="account")
        known = stored.get(draft.name)
        if known is not None:
            return self._plan_change(sources, draft, known, left_out=left_out)
        if left_out:
            draft = draft.model_copy(update={"enabled": False})
        await sources.pool.check_account(draft.as_account(""))
        message = LEFT_OUT if left_out else ""
        return RestoreChange(self.name, name, "new", message, lambda: sources.accounts.add(draft))

    def _plan_change(
        self, sources: BackupSources, draft: AccountDraft, known: AccountStatus, *, left_out: frozenset[str]
    ) -> RestoreChange:
        if known.source == "file":
            raise InvalidRequest(DECLARED)
        if known.account.provider != draft.provider:
            raise InvalidRequest(f"provider: it is {known.account.provider} here and can't be changed")
        fields = AccountDraft.of_status(known).changed_fields(draft) - left_out
        if not fields:
            return RestoreChange(self.name, draft.name, "same")

        async def update_account() -> None:
            if "secret" in fields:
                await sources.accounts.rotate_secret(known.account.id, draft.secret)
            values = {field: getattr(draft, field) for field in fields - {"secret"}}
            await sources.accounts.update(known.account.id, AccountChange.model_validate(values))

        return RestoreChange(self.name, draft.name, "changed", ", ".join(sorted(fields)), update_account)


def _exported_entry(status: AccountStatus, box: SecretBox | None) -> dict[str, Any]:
    (plain,), (whole,) = (
        export_documents([status], secrets=False),
        export_documents([status], secrets=True),
    )
    hidden = {field: value for field, value in whole.items() if value != plain.get(field)}
    if not hidden:
        return plain
    if box is None:
        return plain | {"left_out": sorted(hidden)}
    return plain | {"sealed": box.seal(json.dumps(hidden), place=f"accounts/{status.account.name}")}


def _left_out(entry: dict[str, Any]) -> frozenset[str]:
    names = entry.get("left_out", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidRequest("left_out must be a list of names")
    return frozenset(names)


def _open_secrets(entry: dict[str, Any], name: str, box: SecretBox | None) -> dict[str, Any]:
    fields = {field: value for field, value in entry.items() if field not in ("sealed", "left_out")}
    if "sealed" in entry and box is not None:
        fields |= json.loads(box.open(str(entry["sealed"]), place=f"accounts/{name}"))
    return fields
