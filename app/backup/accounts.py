"""Upstream accounts in a backup."""

import json
from typing import Any

from app.accounts.drafts import AccountChange, AccountDraft
from app.accounts.listing import exported
from app.accounts.rows import account_of_draft
from app.accounts.standing import AccountStatus
from app.backup.holdings import DECLARED, Change, Holdings
from app.backup.sealing import Box
from app.documents import read
from app.errors import InvalidRequest

LEFT_OUT = "its secret is not in the backup: it stays disabled until you enter it"


class Accounts:
    name = "accounts"

    async def save(self, held: Holdings, box: Box | None) -> list[dict[str, Any]]:
        own = [s for s in await held.accounts.all() if not held.pool.is_embedded(s.account.id)]
        return [_saved(standing, box) for standing in own]

    async def plan(
        self, held: Holdings, entries: list[dict[str, Any]], *, box: Box | None, own: bool
    ) -> list[Change]:
        present = {standing.account.name: standing for standing in await held.accounts.all()}
        return [await self._planned(held, entry, present, box=box) for entry in entries]

    async def _planned(
        self, held: Holdings, entry: dict[str, Any], present: dict[str, AccountStatus], *, box: Box | None
    ) -> Change:
        name = str(entry.get("name", ""))[:200]
        try:
            left_out = _left_out(entry)
            draft = read(AccountDraft, _opened(entry, name, box), whole="account")
            if draft.name in present:
                return self._changed(held, draft, present[draft.name], left_out=left_out)
            if left_out:
                draft = draft.model_copy(update={"enabled": False})
            await held.pool.check(account_of_draft(draft, ""))
        except InvalidRequest as error:
            return Change(self.name, name, "error", error.message)
        message = LEFT_OUT if left_out else ""
        return Change(self.name, name, "new", message, lambda: held.accounts.add(draft))

    def _changed(
        self, held: Holdings, draft: AccountDraft, known: AccountStatus, *, left_out: frozenset[str]
    ) -> Change:
        if known.source == "file":
            raise InvalidRequest(DECLARED)
        if known.account.provider != draft.provider:
            raise InvalidRequest(f"provider: it is {known.account.provider} here, and stays so")
        fields = _differing(AccountDraft.of(known), draft) - left_out
        if not fields:
            return Change(self.name, draft.name, "same")

        async def change() -> None:
            if "secret" in fields:
                await held.accounts.rotate_secret(known.account.id, draft.secret)
            told = {field: getattr(draft, field) for field in fields - {"secret"}}
            await held.accounts.update(known.account.id, AccountChange.model_validate(told))

        return Change(self.name, draft.name, "changed", ", ".join(sorted(fields)), change)


def _saved(standing: AccountStatus, box: Box | None) -> dict[str, Any]:
    (plain,), (whole,) = exported([standing], secrets=False), exported([standing], secrets=True)
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


def _opened(entry: dict[str, Any], name: str, box: Box | None) -> dict[str, Any]:
    found = {field: value for field, value in entry.items() if field not in ("sealed", "left_out")}
    if "sealed" in entry and box is not None:
        found |= json.loads(box.open(str(entry["sealed"]), place=f"accounts/{name}"))
    return found


def _differing(before: AccountDraft, after: AccountDraft) -> frozenset[str]:
    """What is left of a quota changes every day, and is not put back."""
    fields = {name for name in AccountDraft.model_fields if getattr(before, name) != getattr(after, name)}
    if before.quota and after.quota:
        terms = [quota.model_dump(exclude={"left"}) for quota in (before.quota, after.quota)]
        fields -= {"quota"} if terms[0] == terms[1] else set()
    return frozenset(fields)
