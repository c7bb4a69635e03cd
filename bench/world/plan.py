"""What a seed decides before its world begins: who lives in it, what goes wrong, how often and when."""

import random
from dataclasses import dataclass, replace
from typing import Literal

Fault = Literal[
    # of the network, at any call
    "refused", "reset_before", "reset_after", "hang_before", "hang_after", "slow",
    # of an answer to a submission
    "busy", "busy_named", "failed", "html", "html_accepted", "garbage_accepted", "conflict", "waf", "rejected",
    # of an answer to a look
    "look_html", "look_failed", "look_busy", "look_garbage", "look_page_404", "absurd", "unwritable",
    # of a download
    "away", "cut", "page", "drip",
    # of a receiver of webhooks
    "deaf", "broken",
]  # fmt: skip
EITHER, FIRST, SECOND = "sora-2", "first-film", "second-film"
"""Models that both vendors serve, or one of them."""
DEAD_ENDPOINTS = 10
"""Receivers of key 0 that a crowd's world has, and that never answer."""
ACCOUNTS = 4
"""Two at each vendor."""
FAULTS: tuple[Fault, ...] = Fault.__args__  # type: ignore[attr-defined]
Refusal = Literal["agrees", "refuses", "knows none"]
Price = Literal["call", "second", "unit"]
Crowd = Literal["drips", "deaf"]
RETRIES_BEGIN = 1_000_003
CROWDS = 0.01
"""Share of the worlds that are about one peer with many tasks."""
Ending = Literal["film", "failed", "stuck"]


@dataclass(frozen=True)
class Window:
    """A time in which a fault strikes always; ``vendor``: where, None: everywhere."""

    fault: str
    start: float
    end: float
    vendor: int | None = None

    def holds(self, now: float, vendor: int | None) -> bool:
        return self.start <= now < self.end and (self.vendor is None or self.vendor == vendor)


@dataclass(frozen=True)
class VendorPlan:
    cancels: Refusal
    honours_keys: bool
    lag: float
    """For so many seconds after a job was made, looks do not know it."""
    link_life: float | None
    """Seconds for which a film can be downloaded; None: for ever."""
    forgets_after: float | None
    """Seconds after which a finished job is unknown; None: never."""


@dataclass(frozen=True)
class WishPlan:
    """One film that a client wants, and what the client does about it. Times are from the world's begin."""

    at: float
    key: int
    prompt: str
    repeats: bool
    """Whether the client repeats a request without an answer, with its idempotency key."""
    leaves_at: float | None
    """Seconds after which it cancels."""
    deletes: bool
    job_seconds: float
    ending: Ending
    hook: str | None
    """The host that is told of its end."""
    model: str = EITHER
    fails_at: tuple[int, ...] = (0, 1)
    """The vendors at which it fails, where its ending is that."""


@dataclass(frozen=True)
class Stop:
    """The end of one process: a kill after ``after`` edges or seconds, and the next start."""

    kind: Literal["kill", "power", "term"]
    at: float
    edges: int
    down: float


@dataclass(frozen=True)
class Plan:
    seed: int
    deadline: float
    kept: float
    """Seconds for which results are kept."""
    heals_at: float
    """From then on nothing goes wrong any more."""
    pauses: float
    longest_pause: float
    rates: dict[str, float]
    windows: tuple[Window, ...]
    vendors: tuple[VendorPlan, ...]
    slots: tuple[int, ...]
    wishes: tuple[WishPlan, ...]
    stops: tuple[Stop, ...]
    freezes: tuple[tuple[int, float], ...]
    price: Price
    crowd: Crowd | None
    """What many tasks of key 0 meet while key 1 has two that nothing must hold up."""
    jumps: tuple[tuple[float, float, float], ...]
    """Begin, seconds, and by how much the wall clock is wrong meanwhile."""
    retries: int = 0
    """How often the route of ``EITHER`` goes on elsewhere after a vendor's word that its work failed."""

    @property
    def end(self) -> float:
        """What is not quiet by then never will be."""
        return self.heals_at + 4 * self.deadline + 3600.0


def make_plan(seed: int) -> Plan:
    chance = random.Random(seed)
    if chance.random() < CROWDS:
        return _crowd_plan(seed, chance)
    return _with_retries(_plain_plan(seed, chance), random.Random(seed + RETRIES_BEGIN))


def _with_retries(plan: Plan, chance: random.Random) -> Plan:
    """Its dice are its own: without retries a seed is the world that it was."""
    retries = chance.choice((0, 1, 2))
    if not retries:
        return plan
    wishes = tuple(_failing_somewhere(wish, chance) for wish in plan.wishes)
    return replace(plan, retries=retries, wishes=wishes)


def _failing_somewhere(wish: WishPlan, chance: random.Random) -> WishPlan:
    """In these worlds more work fails, and not everywhere."""
    ending: Ending = "failed" if wish.ending == "film" and chance.random() < 0.3 else wish.ending
    return replace(wish, ending=ending, fails_at=chance.choice(((0,), (1,), (0, 1))))


def _plain_plan(seed: int, chance: random.Random) -> Plan:
    deadline = chance.choice((120.0, 600.0, 600.0, 3600.0))
    heals_at = deadline * chance.uniform(0.3, 2.0)
    vendors = tuple(_vendor(chance, deadline) for _ in range(2))
    wishes = tuple(_wish(chance, number, deadline) for number in range(_few(chance, 1, 4)))
    return Plan(
        seed=seed,
        deadline=deadline,
        kept=deadline * chance.choice((2, 6)),
        heals_at=heals_at,
        pauses=chance.choice((0.0, 0.02, 0.1)),
        longest_pause=chance.choice((0.5, 5.0)),
        rates=_rates(chance),
        windows=_windows(chance, heals_at),
        vendors=vendors,
        slots=_slots(chance),
        wishes=wishes,
        stops=_stops(chance, heals_at, deadline),
        freezes=_freezes(chance, deadline),
        price=chance.choice(("call", "second", "unit")),
        crowd=None,
        jumps=_jumps(chance, heals_at),
    )


def _crowd_plan(seed: int, chance: random.Random) -> Plan:
    """Many tasks whose peer holds on to whatever it gets, and two of another key at a healthy one."""
    crowd: Crowd = chance.choice(("drips", "deaf"))
    heals_at = 1200.0
    fault = "drip" if crowd == "drips" else "deaf"
    healthy = VendorPlan("agrees", honours_keys=False, lag=0.0, link_life=None, forgets_after=None)
    wishes = [
        _crowd_wish(number, at=chance.uniform(0, 5), model=FIRST, hook=None) for number in range(12)
    ] + [
        _crowd_wish(12 + number, at=chance.uniform(20, 60), model=SECOND, hook="hook-well.test")
        for number in range(2)
    ]
    return Plan(
        seed=seed,
        deadline=600.0,
        kept=6000.0,
        heals_at=heals_at,
        pauses=0.0,
        longest_pause=0.0,
        rates={},
        windows=(Window(fault, 0.0, heals_at, 0),),
        vendors=(healthy, healthy),
        slots=(12, 12, 2, 2),
        wishes=tuple(wishes),
        stops=(),
        freezes=(),
        price="call",
        crowd=crowd,
        jumps=(),
    )


def _crowd_wish(number: int, *, at: float, model: str, hook: str | None) -> WishPlan:
    return WishPlan(
        at=at,
        key=0 if model == FIRST else 1,
        prompt=f"wish {number}",
        repeats=True,
        leaves_at=None,
        deletes=False,
        job_seconds=5.0,
        ending="film",
        hook=hook,
        model=model,
    )


def _slots(chance: random.Random) -> tuple[int, ...]:
    """One account with one slot, where tasks queue; or some at each."""
    if chance.random() < 0.3:
        return tuple(int(number == 0) for number in range(ACCOUNTS))
    return tuple(chance.choice((1, 1, 2, 3)) for _ in range(ACCOUNTS))


def _few(chance: random.Random, least: int, most: int) -> int:
    """Small numbers are likelier."""
    return least + min(int(chance.expovariate(1.3)), most - least)


def _rates(chance: random.Random) -> dict[str, float]:
    """Each world has a few kinds of faults only, some of them often: all at once would hide one behind another."""
    chosen = [fault for fault in FAULTS if chance.random() < 0.15]
    return {fault: 10 ** chance.uniform(-1.5, -0.1) for fault in chosen}


def _windows(chance: random.Random, heals_at: float) -> tuple[Window, ...]:
    kinds = (
        "refused",
        "away",
        "look_page_404",
        "look_html",
        "banned",
        "empty",
        "disk_full",
        "busy",
        "deaf",
        "hang_before",
    )
    found = []
    for _ in range(_few(chance, 0, 3)):
        start = chance.uniform(0.0, heals_at * 0.7)
        end = min(start + 10 ** chance.uniform(0.5, 3.3), heals_at)
        found.append(Window(chance.choice(kinds), start, end, chance.choice((None, 0, 1))))
    return tuple(found)


def _vendor(chance: random.Random, deadline: float) -> VendorPlan:
    return VendorPlan(
        cancels=chance.choice(("agrees", "refuses", "knows none")),
        honours_keys=chance.random() < 0.5,
        lag=chance.choice((0.0, 0.0, 0.0, chance.uniform(1, 30))),
        link_life=chance.choice((None, None, deadline * chance.uniform(0.1, 2))),
        forgets_after=chance.choice((None, None, None, deadline * chance.uniform(0.1, 2))),
    )


def _wish(chance: random.Random, number: int, deadline: float) -> WishPlan:
    attack = " UNION SELECT" if chance.random() < 0.05 else ""
    leaves = chance.random() < 0.3
    return WishPlan(
        at=chance.choice((0.5, chance.uniform(0, deadline / 4))),
        key=chance.randrange(2),
        prompt=f"wish {number}{attack}",
        repeats=chance.random() < 0.7,
        leaves_at=10 ** chance.uniform(-1, 2) if leaves else None,
        deletes=leaves and chance.random() < 0.5,
        job_seconds=deadline * 10 ** chance.uniform(-2.0, 0.1),
        ending=chance.choices(("film", "failed", "stuck"), (12, 2, 1))[0],  # type: ignore[arg-type]
        hook=chance.choice((None, "hook-one.test", "hook-two.test")),
    )


def _stops(chance: random.Random, heals_at: float, deadline: float) -> tuple[Stop, ...]:
    found = []
    for _ in range(_few(chance, 0, 3)):
        found.append(
            Stop(
                kind=chance.choice(("kill", "kill", "power", "term")),
                at=chance.uniform(0.0, heals_at),
                edges=int(10 ** chance.uniform(0, 2.3)),
                down=chance.choice(
                    (chance.uniform(1, 30), chance.uniform(1, 30), chance.uniform(0.2, 1.5) * deadline)
                ),
            )
        )
    return tuple(sorted(found, key=lambda stop: stop.at))


def _freezes(chance: random.Random, deadline: float) -> tuple[tuple[int, float], ...]:
    return tuple(
        (int(10 ** chance.uniform(0.5, 2.7)), 10 ** chance.uniform(0, 2)) for _ in range(_few(chance, 0, 2))
    )


def _jumps(chance: random.Random, heals_at: float) -> tuple[tuple[float, float, float], ...]:
    if chance.random() < 0.8:
        return ()
    error = chance.choice((172_800.0, 1800.0, -3600.0, 40 * 86_400.0))
    return ((chance.uniform(0, heals_at), chance.uniform(3, 20), error),)
