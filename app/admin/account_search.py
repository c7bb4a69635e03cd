"""Finds accounts for the panel: filtered, sorted and page by page, with how many there are of each kind."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Depends, Query

from app.accounts.status import AccountStatus
from app.admin.account_object import AccountObject, account_objects, state_of
from app.admin.bodies import ListAnswer, NamedItem, PanelAnswer
from app.admin.panel import PanelServices
from app.admin.queries import FilterText
from app.db.tables import slots

MOST_NAMES = 10_000
MOST_IDS = 200
SortColumn = Literal[
    "name", "provider", "state", "created", "slots", "in_flight", "quota", "success", "weight", "tier", "tag"
]
GROUPED = ("provider", "tag")


class CountedName(PanelAnswer):
    name: str
    count: int


class AccountList(ListAnswer[AccountObject]):
    """``total`` rows match, of which ``data`` are a page; the rest counts all accounts, for filters."""

    total: int
    states: list[CountedName]
    providers: list[CountedName]
    tags: list[CountedName]


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """What an account must match, and the order; `group` sorts by it first. With ``ids`` only these, from memory."""

    ids: frozenset[str]
    q: str | None
    state: str | None
    provider: str | None
    tag: str | None
    sort: SortColumn
    descending: bool
    group: Literal["provider", "tag"] | None


@dataclass(frozen=True, slots=True)
class AccountSlice:
    """Without ``limit`` every row."""

    limit: int | None
    after: int


def _read_filter(
    *,
    ids: Annotated[str | None, Query(max_length=MOST_IDS * 33, description="Separated by commas.")] = None,
    q: FilterText = None,
    state: FilterText = None,
    provider: FilterText = None,
    tag: FilterText = None,
    sort: SortColumn = "created",
    descending: bool = False,
    group: Literal["provider", "tag"] | None = None,
) -> AccountFilter:
    wanted = frozenset(filter(None, (ids or "").split(",")))
    return AccountFilter(wanted, q, state, provider, tag, sort, descending, group)


def _read_slice(
    limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
    after: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> AccountSlice:
    return AccountSlice(limit, after)


AccountQuery = Annotated[AccountFilter, Depends(_read_filter)]
AccountPage = Annotated[AccountSlice, Depends(_read_slice)]


@dataclass(frozen=True, slots=True)
class _Row:
    """An account with what it is filtered and sorted by."""

    status: AccountStatus
    in_flight: int
    state: str

    @property
    def first_tag(self) -> str:
        return min(self.status.account.tags, default="")


_SORT_KEYS: Mapping[str, Callable[[_Row], Any]] = {
    "name": lambda row: _natural(row.status.account.name),
    "provider": lambda row: row.status.account.provider,
    "state": lambda row: row.state,
    "created": lambda row: row.status.created_at,
    "slots": lambda row: row.status.account.slots,
    "in_flight": lambda row: row.in_flight,
    "quota": lambda row: _quota_share(row.status),
    "success": lambda row: _success_share(row.status),
    "weight": lambda row: row.status.account.weight,
    "tier": lambda row: row.status.account.tier,
    "tag": lambda row: row.first_tag,
}


async def account_list(panel: PanelServices, wanted: AccountFilter, page: AccountSlice) -> AccountList:
    rows = await _all_rows(panel, anew=not wanted.ids)
    found = _found_rows(rows, wanted)
    shown = found[page.after :] if page.limit is None else found[page.after : page.after + page.limit]
    end = page.after + len(shown)
    return AccountList(
        data=await account_objects(panel, [row.status for row in shown]),
        next=str(end) if end < len(found) else None,
        total=len(found),
        states=_counted(Counter(row.state for row in rows)),
        providers=_counted(Counter(row.status.account.provider for row in rows)),
        tags=_counted(Counter(tag for row in rows for tag in row.status.account.tags)),
    )


async def found_statuses(panel: PanelServices, wanted: AccountFilter) -> list[AccountStatus]:
    return [row.status for row in _found_rows(await _all_rows(panel, anew=True), wanted)]


async def account_names(panel: PanelServices, wanted: AccountFilter) -> list[NamedItem]:
    found = await found_statuses(panel, wanted)
    return [NamedItem(id=status.account.id, name=status.account.name) for status in found]


async def _all_rows(panel: PanelServices, *, anew: bool) -> list[_Row]:
    """``anew``: not what was read within the last two seconds."""
    query = sa.select(slots.c.account_id, sa.func.count()).group_by(slots.c.account_id)
    async with panel.database.read() as connection:
        used = {row[0]: int(row[1]) for row in await connection.execute(query)}
    now = time.time()
    rows: list[_Row] = []
    statuses = await (panel.accounts.list_all() if anew else panel.accounts.list_known())
    for status in map(panel.gateway.catalog.pauses.marked, statuses):
        in_flight = used.get(status.account.id, 0)
        rows.append(_Row(status, in_flight, state_of(status, in_flight, now=now)[0]))
    return rows


def _found_rows(rows: list[_Row], wanted: AccountFilter) -> list[_Row]:
    found = [row for row in rows if _matches(row, wanted)]
    found.sort(key=_SORT_KEYS[wanted.sort], reverse=wanted.descending)
    if wanted.group is not None:
        found.sort(key=_SORT_KEYS[wanted.group])
    return found


def _matches(row: _Row, wanted: AccountFilter) -> bool:
    account = row.status.account
    if wanted.ids and account.id not in wanted.ids:
        return False
    if wanted.provider and account.provider != wanted.provider:
        return False
    if wanted.tag and wanted.tag not in account.tags:
        return False
    if wanted.state and row.state != wanted.state:
        return False
    return not wanted.q or wanted.q.lower() in _searched_text(row.status)


def _searched_text(status: AccountStatus) -> str:
    account = status.account
    return "\n".join([account.name, account.base_url, status.note, account.provider]).lower()


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """So that farm-9 comes before farm-10."""
    parts: list[tuple[int, int | str]] = []
    for digit, text in _runs(name.lower()):
        parts.append((0, int(text)) if digit else (1, text))
    return tuple(parts)


def _runs(name: str) -> list[tuple[bool, str]]:
    """The name cut where ASCII digits begin and end."""
    runs: list[tuple[bool, str]] = []
    for sign in name:
        digit = sign.isascii() and sign.isdigit()
        if runs and runs[-1][0] == digit:
            runs[-1] = (digit, runs[-1][1] + sign)
        else:
            runs.append((digit, sign))
    return runs


def _quota_share(status: AccountStatus) -> float:
    """What is left of the quota; more than all where none is set."""
    quota = status.quota
    if quota is None:
        return 2.0
    return float(quota.left_at(time.time()) / quota.limit) if quota.limit else 0.0


def _success_share(status: AccountStatus) -> float:
    """Below none where nothing was tried."""
    past = status.statistics
    tries = past.successes + past.failures
    return past.successes / tries if tries else -1.0


def _counted(counts: Counter[str]) -> list[CountedName]:
    return [CountedName(name=name, count=count) for name, count in sorted(counts.items())]
