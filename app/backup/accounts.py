"""Upstream accounts in a backup."""

import json
from typing import Any

from app.accounts.definition import AccountChange, AccountDraft
from app.accounts.formats import export_documents
from app.accounts.rows import account_of_draft
from app.accounts.status import AccountStatus
from app.backup.sealing import SecretBox
from app.backup.sections import DECLARED, BackupStores, RestoreChange
from app.errors import InvalidRequest
from app.validation import validate_document

LEFT_OUT = "its secret is not in the backup: it stays disabled until you enter it"


class AccountSection:
    name = "accounts"

    async def export_entries(self, held: BackupStores, box: SecretBox | None) -> list[dict[str, Any]]:
        own = [s for s in await held.accounts.list_all() if not held.pool.is_embedded(s.account.id)]
        return [_exported_entry(standing, box) for standing in own]

    async def plan_restore(
        self, held: BackupStores, entries: list[dict[str, Any]], *, box: SecretBox | None, own: bool
    ) -> list[RestoreChange]:
        present = {standing.account.name: standing for standing in await held.accounts.list_all()}
        return [await self._plan_entry(held, entry, present, box=box) for entry in entries]

    async def _plan_entry(
        self,
        held: BackupStores,
        entry: dict[str, Any],
        present: dict[str, AccountStatus],
        *,
        box: SecretBox | None,
    ) -> RestoreChange:
        name = str(entry.get("name", ""))[:200]
        try:
            left_out = _left_out(entry)
            draft = validate_document(AccountDraft, _open_secrets(entry, name, box), whole="account")
            if draft.name in present:
                return self._plan_change(held, draft, present[draft.name], left_out=left_out)
            if left_out:
                draft = draft.model_copy(update={"enabled": False})
            await held.pool.check_account(account_of_draft(draft, ""))
        except InvalidRequest as error:
            return RestoreChange(self.name, name, "error", error.message)
        message = LEFT_OUT if left_out else ""
        return RestoreChange(self.name, name, "new", message, lambda: held.accounts.add(draft))

    def _plan_change(
        self, held: BackupStores, draft: AccountDraft, known: AccountStatus, *, left_out: frozenset[str]
    ) -> RestoreChange:
        if known.source == "file":
            raise InvalidRequest(DECLARED)
        if known.account.provider != draft.provider:
            raise InvalidRequest(f"provider: it is {known.account.provider} here and can't be changed")
        fields = _changed_fields(AccountDraft.of_status(known), draft) - left_out
        if not fields:
            return RestoreChange(self.name, draft.name, "same")

        async def update_account() -> None:
            if "secret" in fields:
                await held.accounts.rotate_secret(known.account.id, draft.secret)
            told = {field: getattr(draft, field) for field in fields - {"secret"}}
            await held.accounts.update(known.account.id, AccountChange.model_validate(told))

        return RestoreChange(self.name, draft.name, "changed", ", ".join(sorted(fields)), update_account)


def _exported_entry(standing: AccountStatus, box: SecretBox | None) -> dict[str, Any]:
    (plain,), (whole,) = (
        export_documents([standing], secrets=False),
        export_documents([standing], secrets=True),
    )
    hidden = {field: value for field, value in whole.items() if value != plain.get(field)}
    if not hidden:
        return plain
    if box is None:
        return plain | {"left_out": sorted(hidden)}
    return plain | {"sealed": box.seal(json.dumps(hidden), place=f"accounts/{standing.account.name}")}


def _left_out(entry: dict[str, Any]) -> frozenset[str]:
    found = entry.get("left_out", [])
    if not isinstance(found, list) or not all(isinstance(field, str) for field in found):
        raise InvalidRequest("left_out must be a list of names")
    return frozenset(found)


def _open_secrets(entry: dict[str, Any], name: str, box: SecretBox | None) -> dict[str, Any]:
    found = {field: value for field, value in entry.items() if field not in ("sealed", "left_out")}
    if "sealed" in entry and box is not None:
        found |= json.loads(box.open(str(entry["sealed"]), place=f"accounts/{name}"))
    return found


def _changed_fields(before: AccountDraft, after: AccountDraft) -> frozenset[str]:
    """Fields to restore. The remaining quota changes all the time and is not restored."""
    fields = {name for name in AccountDraft.model_fields if getattr(before, name) != getattr(after, name)}
    if before.quota and after.quota:
        terms = [quota.model_dump(exclude={"left"}) for quota in (before.quota, after.quota)]
        fields -= {"quota"} if terms[0] == terms[1] else set()
    return frozenset(fields)
