"""Which due deliveries go next: owners take turns, first attempts go before repeated ones, dead receivers pause."""

import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.db.tables import webhook_deliveries

AT_ONCE = 40
"""Deliveries under way over all workers: each is a connection, for up to 15 seconds."""
PER_RECEIVER = 4
"""Of these to one host: it may be small, and whose it is, nobody knows."""
PER_OWNER = 10
"""Of these for one key or project, so that four may have dead receivers and a fifth is not delayed. An owner with none
under way never waits for others."""
REPEATED_AT_ONCE = 20
"""Of these that failed before: whoever was away for a day must not delay what is new."""
MAX_DUE_READ = 200
MAX_DUE_SCANNED = 1000
"""So many due deliveries are read and scanned in one pass."""
LONGEST_PAUSE_SECONDS = 300.0
MAX_PAUSES = 500
"""Receivers that are remembered; a query names those that pause."""
_table = webhook_deliveries.c
_REPEATED = sa.case((_table.attempts > 0, 1), else_=0)


class Target(NamedTuple):
    """Whose deliveries to which host. An owner's dead receiver must not delay others at the same host."""

    owner: str
    receiver: str


@dataclass(slots=True)
class _Pause:
    failures: int
    until: float


class ReceiverPauses:
    """Receivers that did not answer in time, in this process's memory. Each pauses for a growing time; then one delivery
    at a time is tried until it answers. ``first`` and the longest pause in seconds."""

    def __init__(self, *, first: float, longest: float = LONGEST_PAUSE_SECONDS) -> None:
        self._first = first
        self._longest = longest
        self._pauses: dict[Target, _Pause] = {}

    def record(self, target: Target, *, answered: bool) -> None:
        """An answer with any status ends the pause."""
        known = self._pauses.pop(target, None)
        if answered:
            return
        failures = known.failures + 1 if known else 1
        seconds = min(self._first * 2.0 ** min(failures - 1, 30), self._longest)
        self._pauses[target] = _Pause(failures, time.monotonic() + seconds)
        if len(self._pauses) > MAX_PAUSES:
            del self._pauses[next(iter(self._pauses))]

    def paused(self) -> list[Target]:
        now = time.monotonic()
        return [target for target, pause in self._pauses.items() if pause.until > now]

    def is_on_trial(self, target: Target) -> bool:
        """Whether it failed the last time, so that only one delivery to it may be under way."""
        return target in self._pauses


@dataclass(slots=True)
class UnderWay:
    """Deliveries that are claimed now, over all workers."""

    by_target: Counter[Target] = field(default_factory=Counter)
    repeated: int = 0

    @classmethod
    def count(cls, rows: Iterable[Any]) -> "UnderWay":
        """``rows`` as ``claimed_query`` gives them."""
        found = cls()
        for owner, receiver, repeated, count in rows:
            found.by_target[Target(owner, receiver)] += count
            found.repeated += count if repeated else 0
        return found

    @property
    def total(self) -> int:
        return self.by_target.total()

    def of_owner(self, owner: str) -> int:
        return sum(count for target, count in self.by_target.items() if target.owner == owner)

    def of_receiver(self, receiver: str) -> int:
        return sum(count for target, count in self.by_target.items() if target.receiver == receiver)

    @property
    def owners(self) -> set[str]:
        return {target.owner for target in self.by_target}

    @property
    def full_owners(self) -> set[str]:
        return {owner for owner in self.owners if self.of_owner(owner) >= PER_OWNER}

    @property
    def full_receivers(self) -> set[str]:
        names = {target.receiver for target in self.by_target}
        return {name for name in names if self.of_receiver(name) >= PER_RECEIVER}


def claimed_query(claimed: Iterable[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    query = sa.select(_table.owner, _table.receiver, _REPEATED.label("repeated"), sa.func.count())
    return query.where(*claimed).group_by(_table.owner, _table.receiver, _REPEATED)


def due_query(
    due: Iterable[sa.ColumnElement[bool]], busy: UnderWay, *, at_once: int, paused: Collection[Target]
) -> sa.Select[Any]:
    """The next deliveries of each owner that may have more under way, in turns.

    Of a long backlog only the oldest are read. As owners that are served are left out, the next pass finds the others.
    """
    served = busy.owners if busy.total >= at_once else busy.full_owners
    left = [*due, _table.receiver.not_in(busy.full_receivers), _table.owner.not_in(served)]
    if paused:
        left.append(sa.tuple_(_table.owner, _table.receiver).not_in(paused))
    one = sa.union_all(_oldest(left, repeated=0), _oldest(left, repeated=1)).subquery().c
    of_receiver = _numbered(one.owner, one.receiver, order=(one.repeated, one.next_at))
    kept = sa.select(one.id, one.owner, one.receiver, one.next_at, one.repeated, of_receiver).subquery().c
    of_owner = _numbered(kept.owner, order=(kept.repeated, kept.turn, kept.next_at))
    rows = sa.select(kept.id, kept.owner, kept.receiver, kept.next_at, kept.repeated, of_owner)
    last = rows.where(kept.turn <= PER_RECEIVER).subquery().c
    order = last.repeated, last.turn, last.next_at
    return sa.select(last.id, last.owner, last.receiver, last.repeated).order_by(*order).limit(MAX_DUE_READ)


def _oldest(left: Iterable[sa.ColumnElement[bool]], *, repeated: int) -> sa.Select[Any]:
    number = sa.literal(repeated).label("repeated")
    failed_before = _table.attempts > 0 if repeated else _table.attempts == 0
    query = sa.select(_table.id, _table.owner, _table.receiver, _table.next_at, number)
    return sa.select(
        query.where(*left, failed_before).order_by(_table.next_at).limit(MAX_DUE_SCANNED).subquery()
    )


def _numbered(*peers: sa.ColumnElement[Any], order: tuple[sa.ColumnElement[Any], ...]) -> sa.Label[Any]:
    return sa.func.row_number().over(partition_by=peers, order_by=order).label("turn")


def choose_due(
    rows: Iterable[Any], busy: UnderWay, *, at_once: int, per_receiver: int, pauses: ReceiverPauses | None
) -> list[str]:
    """Ids of those that may go now, in the order of ``rows``. Counts them in ``busy``."""
    chosen: list[str] = []
    for row in rows:
        target = Target(row.owner, row.receiver)
        mine, most = busy.of_owner(row.owner), 1 if pauses and pauses.is_on_trial(target) else per_receiver
        if busy.by_target[target] >= most or busy.of_receiver(row.receiver) >= per_receiver:
            continue
        if mine and (mine >= PER_OWNER or busy.total >= at_once):
            continue
        if mine and row.repeated and busy.repeated >= REPEATED_AT_ONCE:
            continue
        busy.by_target[target] += 1
        busy.repeated += row.repeated
        chosen.append(row.id)
    return chosen
