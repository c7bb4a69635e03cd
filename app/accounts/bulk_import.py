"""Imports accounts from a list: the plan says what happens to each row, then it is applied."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from app.accounts.definition import AccountChange, AccountDraft
from app.accounts.formats import ImportRow
from app.accounts.pool import AccountPool
from app.accounts.repository import AccountRepository
from app.accounts.status import AccountStatus
from app.errors import InvalidRequest, Reason

ImportOutcome = Literal[
    "would_add",
    "would_update",
    "added",
    "updated",
    "duplicate_name",
    "duplicate_secret",
    "invalid",
    "left_out",
]
PLANNED = frozenset({"would_add", "would_update"})
DONE: Mapping[str, ImportOutcome] = {"would_add": "added", "would_update": "updated"}


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The result of one row, counted from 1. ``param`` (the field), ``text`` and ``reason`` say why it is not imported."""

    row: int
    name: str
    outcome: ImportOutcome
    param: str = ""
    text: str = ""
    reason: Reason | None = None
    draft: AccountDraft | None = field(default=None, repr=False)
    given: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def is_good(self) -> bool:
        return self.outcome in PLANNED

    def as_object(self) -> dict[str, Any]:
        """Without secrets."""
        return {
            "row": self.row,
            "name": self.name,
            "outcome": self.outcome,
            "field": self.param,
            "text": self.text,
        }


class TakenNames:
    """The names and secrets in the store and in earlier rows."""

    def __init__(self, statuses: Iterable[AccountStatus]) -> None:
        self.by_name: dict[str, AccountStatus | int] = {}
        self._by_secret: dict[tuple[str, str], str] = {}
        for status in statuses:
            self.by_name[status.account.name] = status
            self._remember_secret(status.account.provider, status.account.secret, status.account.name)

    def add_draft(self, number: int, draft: AccountDraft) -> None:
        self.by_name.setdefault(draft.name, number)
        self._remember_secret(draft.provider, draft.secret, draft.name)

    def secret_holder(self, draft: AccountDraft) -> str | None:
        """The name of another account with this secret."""
        holder = self._by_secret.get((draft.provider, draft.secret)) if draft.secret else None
        return holder if holder != draft.name else None

    def free_name(self, provider: str) -> str:
        number = 1
        while f"{provider}-{number}" in self.by_name:
            number += 1
        return f"{provider}-{number}"

    def _remember_secret(self, provider: str, secret: str, name: str) -> None:
        if secret:
            self._by_secret.setdefault((provider, secret), name)


async def plan_import(
    pool: AccountPool, rows: Sequence[ImportRow], *, update: bool = False
) -> list[ImportResult]:
    """What ``apply_import`` would do with each row; writes nothing. A row without a name gets a free one.

    Without ``update`` a row whose name is taken is refused; with it, what the row gives is changed.
    """
    taken = TakenNames(await AccountRepository(pool).list_all())
    return [await _plan_row(pool, row, taken, update=update) for row in rows]


async def apply_import(
    pool: AccountPool, planned: Sequence[ImportResult], *, skip_bad: bool = False
) -> list[ImportResult]:
    """Import all rows, or with ``skip_bad`` only the valid ones. Without it, one invalid row stops the import and the
    valid rows are ``left_out``."""
    if not skip_bad and not all(result.is_good for result in planned):
        text = "nothing was added, because other rows are invalid"
        return [
            replace(each, outcome="left_out", text=text, reason="other_rows") if each.is_good else each
            for each in planned
        ]
    done = [await _apply_row(pool, result) if result.is_good else result for result in planned]
    await pool.refresh()
    return done


async def _plan_row(pool: AccountPool, row: ImportRow, taken: TakenNames, *, update: bool) -> ImportResult:
    if row.draft is None:
        error = row.error or InvalidRequest("it cannot be read")
        return ImportResult(row.number, row.name, "invalid", error.param or "", error.message, error.reason)
    draft = (
        row.draft if row.name else row.draft.model_copy(update={"name": taken.free_name(row.draft.provider)})
    )
    result = ImportResult(row.number, draft.name, "would_add", draft=draft, given=row.given)
    holder = taken.secret_holder(draft)
    if holder is not None:
        return replace(
            result,
            outcome="duplicate_secret",
            param="secret",
            text=f"{holder} has this secret",
            reason="secret_taken",
        )
    present = taken.by_name.get(draft.name)
    try:
        if present is not None:
            return _plan_existing(result, present, update=update)
        await pool.check_account(draft.as_account(""))
    except InvalidRequest as error:
        return replace(
            result, outcome="invalid", param=error.param or "", text=error.message, reason=error.reason
        )
    taken.add_draft(row.number, draft)
    return result


def _plan_existing(result: ImportResult, present: AccountStatus | int, *, update: bool) -> ImportResult:
    """For a name that exists. Raises ``InvalidRequest`` for what cannot be changed."""
    if isinstance(present, int):
        text = f"row {present} has this name"
        return replace(result, outcome="duplicate_name", param="name", text=text, reason="name_taken")
    if not update:
        return replace(
            result,
            outcome="duplicate_name",
            param="name",
            text="there is an account with this name",
            reason="name_taken",
        )
    assert result.draft is not None
    if present.source == "file":
        raise InvalidRequest(
            "it is declared in the configuration file: change it there",
            param="name",
            reason="declared_in_file",
        )
    if present.account.provider != result.draft.provider:
        raise InvalidRequest(
            f"it is {present.account.provider}, and cannot be changed",
            param="provider",
            reason="fixed_provider",
        )
    return replace(result, outcome="would_update")


async def _apply_row(pool: AccountPool, result: ImportResult) -> ImportResult:
    assert result.draft is not None
    try:
        if result.outcome == "would_add":
            await pool.insert_draft(result.draft, source="store")
        else:
            await _update_account(AccountRepository(pool), result.draft, result.given)
    except InvalidRequest as error:  # the account was added or changed since the plan
        return replace(
            result, outcome="invalid", param=error.param or "", text=error.message, reason=error.reason
        )
    return replace(result, outcome=DONE[result.outcome])


async def _update_account(book: AccountRepository, draft: AccountDraft, given: frozenset[str]) -> None:
    fields = given & (AccountChange.model_fields.keys() - {"name"})
    change = AccountChange.model_validate({name: getattr(draft, name) for name in fields})
    if draft.secret and "secret" in given:
        await book.rotate_secret(draft.name, draft.secret)
    await book.update(draft.name, change)
