"""Accounts brought in from a list: first said what would happen, row by row, then done, and nothing overwritten."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from app.accounts.book import AccountBook
from app.accounts.drafts import AccountChange, AccountDraft
from app.accounts.listing import Row
from app.accounts.pool import AccountPool
from app.accounts.rows import account_of_draft
from app.accounts.standing import AccountStatus
from app.errors import InvalidRequest

Outcome = Literal[
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
DONE: Mapping[str, Outcome] = {"would_add": "added", "would_update": "updated"}


@dataclass(frozen=True, slots=True)
class Result:
    """What becomes of one row, counted from 1; ``param`` (the field) and ``text`` say why it can't be taken."""

    row: int
    name: str
    outcome: Outcome
    param: str = ""
    text: str = ""
    draft: AccountDraft | None = field(default=None, repr=False)
    given: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def is_good(self) -> bool:
        return self.outcome in PLANNED

    def shown(self) -> dict[str, Any]:
        """Without anything secret."""
        return {
            "row": self.row,
            "name": self.name,
            "outcome": self.outcome,
            "field": self.param,
            "text": self.text,
        }


class _Taken:
    """Names and secrets there are, in the store and in earlier rows."""

    def __init__(self, standings: Iterable[AccountStatus]) -> None:
        self.by_name: dict[str, AccountStatus | int] = {}
        self._by_secret: dict[tuple[str, str], str] = {}
        for standing in standings:
            self.by_name[standing.account.name] = standing
            self._remember(standing.account.provider, standing.account.secret, standing.account.name)

    def take(self, number: int, draft: AccountDraft) -> None:
        self.by_name.setdefault(draft.name, number)
        self._remember(draft.provider, draft.secret, draft.name)

    def holder(self, draft: AccountDraft) -> str | None:
        """The name of another account with this secret."""
        found = self._by_secret.get((draft.provider, draft.secret)) if draft.secret else None
        return found if found != draft.name else None

    def free_name(self, provider: str) -> str:
        number = 1
        while f"{provider}-{number}" in self.by_name:
            number += 1
        return f"{provider}-{number}"

    def _remember(self, provider: str, secret: str, name: str) -> None:
        if secret:
            self._by_secret.setdefault((provider, secret), name)


async def plan(pool: AccountPool, rows: Sequence[Row], *, update: bool = False) -> list[Result]:
    """What ``apply`` would do with each row; writes nothing. A row without a name gets a free one.

    Without ``update`` a row whose name is taken is refused; with it, what the row gives is changed.
    """
    taken = _Taken(await AccountBook(pool).all())
    return [await _planned(pool, row, taken, update=update) for row in rows]


async def apply(pool: AccountPool, planned: Sequence[Result], *, skip_bad: bool = False) -> list[Result]:
    """Do it: all rows, or with ``skip_bad`` the good ones; else nothing, and every good one is ``left_out``."""
    if not skip_bad and not all(result.is_good for result in planned):
        text = "nothing was added, as other rows are bad"
        return [replace(each, outcome="left_out", text=text) if each.is_good else each for each in planned]
    done = [await _applied(pool, result) if result.is_good else result for result in planned]
    await pool.refresh()
    return done


async def _planned(pool: AccountPool, row: Row, taken: _Taken, *, update: bool) -> Result:
    if row.draft is None:
        error = row.error or InvalidRequest("it can't be read")
        return Result(row.number, row.name, "invalid", error.param or "", error.message)
    draft = (
        row.draft if row.name else row.draft.model_copy(update={"name": taken.free_name(row.draft.provider)})
    )
    result = Result(row.number, draft.name, "would_add", draft=draft, given=row.given)
    holder = taken.holder(draft)
    if holder is not None:
        return replace(result, outcome="duplicate_secret", param="secret", text=f"{holder} has this secret")
    present = taken.by_name.get(draft.name)
    try:
        if present is not None:
            return _existing(result, present, update=update)
        await pool.check(account_of_draft(draft, ""))
    except InvalidRequest as error:
        return replace(result, outcome="invalid", param=error.param or "", text=error.message)
    taken.take(row.number, draft)
    return result


def _existing(result: Result, present: AccountStatus | int, *, update: bool) -> Result:
    """For a name that is taken. Raises ``InvalidRequest`` for what can't be changed."""
    if isinstance(present, int):
        text = f"row {present} has this name"
        return replace(result, outcome="duplicate_name", param="name", text=text)
    if not update:
        return replace(
            result, outcome="duplicate_name", param="name", text="there is an account of this name"
        )
    assert result.draft is not None
    if present.source == "file":
        raise InvalidRequest("it is declared in the configuration file: change it there", param="name")
    if present.account.provider != result.draft.provider:
        raise InvalidRequest(f"it is {present.account.provider}, and stays so", param="provider")
    return replace(result, outcome="would_update")


async def _applied(pool: AccountPool, result: Result) -> Result:
    assert result.draft is not None
    try:
        if result.outcome == "would_add":
            await pool.insert(result.draft, source="store")
        else:
            await _update(AccountBook(pool), result.draft, result.given)
    except InvalidRequest as error:  # somebody was faster
        return replace(result, outcome="invalid", param=error.param or "", text=error.message)
    return replace(result, outcome=DONE[result.outcome])


async def _update(book: AccountBook, draft: AccountDraft, given: frozenset[str]) -> None:
    fields = given & (AccountChange.model_fields.keys() - {"name"})
    change = AccountChange.model_validate({name: getattr(draft, name) for name in fields})
    if draft.secret and "secret" in given:
        await book.rotate_secret(draft.name, draft.secret)
    await book.update(draft.name, change)
