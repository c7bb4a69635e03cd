"""``python -m bench.simulation``: ten thousand tasks over thirty moody accounts, with the worker killed now and then.

Every figure is counted: at the vendor what was started, in the store what became of each task and of the money.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uvloop
from rich.console import Console
from rich.table import Table

from app.accounts import limits
from app.accounts.definition import AccountDraft, QuotaDraft
from app.assembly import assemble_components
from app.catalog.price import ModelPrice
from app.components import Components
from app.db.tables import slots, spending, tasks
from app.errors import InsufficientQuota
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.ops import logs
from app.settings import Settings
from app.tasks.service import RequestContext
from app.tasks.states import TERMINAL
from app.usage.balance import find_differences
from bench.moody import Tenant, Vendor
from bench.processes import ROOT

SECRET = "simulation-simulation-simulation-32"
SAMPLE_SECONDS = 0.25
REFILL = 60
KEYS = 7
BESIDE = 20
"""So many tasks are asked for at the same moment."""
PRICE = Decimal("0.15")


@dataclass(frozen=True)
class Plan:
    tasks: int
    accounts: int
    job_seconds: float
    kill_seconds: float
    """The worker is killed about this often."""
    limit_seconds: float
    """What has not ended by then is lost."""


@dataclass
class Sampled:
    """``used`` and ``usable``: slots, summed over the samples in which work waited."""

    used: int = 0
    usable: int = 0
    expected: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By account: what its weight would give it of all that was under way, while it was usable."""
    actual: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    overfilled: int = 0


class Simulation:
    """The vendor, the gateway's web side and the operator live here; the worker is a process beside."""

    def __init__(self, plan: Plan, folder: Path, database_url: str | None) -> None:
        self.plan = plan
        self.vendor = Vendor()
        self.sampled = Sampled()
        self.kills = 0
        self.events: Counter[str] = Counter()
        self._folder = folder
        self._database_url = database_url
        self._worker: asyncio.subprocess.Process | None = None
        self._ids: dict[str, Tenant] = {}
        self._jobs: list[asyncio.Task[None]] = []
        self._opened: Components | None = None
        self.keys: list[ClientKey] = []
        self.seconds = 0.0

    @property
    def components(self) -> Components:
        assert self._opened is not None
        return self._opened

    async def run(self) -> None:
        origin = f"http://127.0.0.1:{await self.vendor.serve()}/v1"
        known = {
            "data_dir": self._folder,
            "secret_key": SECRET,
            "outbound_allow": "127.0.0.1",
            "studio": "off",
        }
        if self._database_url:
            known["database_url"] = self._database_url
        self._opened = await assemble_components(Settings.model_validate(known))
        await self._accounts(origin)
        await self._start_worker()
        work = self._moods, self._operator, self._sample, self._kill
        self._jobs = [asyncio.create_task(each()) for each in work]
        began = time.monotonic()
        await self._create()
        while await self._open() and time.monotonic() < began + self.plan.limit_seconds:
            for job in self._jobs:
                if job.done():
                    job.result()
            await asyncio.sleep(0.5)
        self.seconds = time.monotonic() - began

    async def _accounts(self, origin: str) -> None:
        for number in range(self.plan.accounts):
            size, counted, idempotent = 2 * (1 + number % 6), number % 5 == 0, number % 2 == 0
            secret = f"sk-simulated-{number:04d}"
            limit = REFILL * 2
            draft = AccountDraft(
                provider="openai_compatible",
                name=f"account {number:02d}",
                base_url=origin,
                secret=secret,
                slots=size,
                weight=size / 2,
                options={"idempotency": idempotent, "poll_cap_seconds": 3.0},
                quota=QuotaDraft(limit=Decimal(1_000_000), left=Decimal(limit)) if counted else None,
            )
            standing = await self.components.accounts.add(draft)
            tenant = Tenant(secret, size, self.plan.job_seconds, idempotent, limit if counted else None)
            self._ids[standing.account.id] = self.vendor.tenants[secret] = tenant

    async def _create(self) -> None:
        """Every third key can pay for half of what it wants; the other half is for those that can pay all."""
        await self.components.money.prices.set_price("sora-2", ModelPrice(per_call=PRICE))
        afford = self.plan.tasks // KEYS // 2
        self.keys = [
            ClientKey(
                id=f"key{n}",
                name=f"key {n}",
                owner=f"key:{n}",
                budget_total=None if n % 3 else PRICE * afford,
            )
            for n in range(KEYS)
        ]
        for first in range(0, self.plan.tasks, BESIDE):
            numbers = range(first, min(first + BESIDE, self.plan.tasks))
            await asyncio.gather(*map(self._create_one, numbers))

    async def _create_one(self, number: int) -> None:
        request = GenerationRequest(kind="video", model="sora-2", prompt=f"film {number}")
        try:
            await self._ask(request, self.keys[number % KEYS])
        except InsufficientQuota:
            self.events["budget refused"] += 1
            await self._ask(request, self.keys[1])

    async def _ask(self, request: GenerationRequest, key: ClientKey) -> None:
        await self.components.tasks.create(request, key=key, context=RequestContext("simulation"))

    async def _moods(self) -> None:
        """Every vendor has bad moments; about one account in eight has one at any time."""
        while True:
            await asyncio.sleep(random.expovariate(self.plan.accounts / 60.0))
            tenant, now = random.choice(list(self._ids.values())), time.monotonic()
            mood = random.choices(["busy", "broken", "empty", "banned"], [6, 2, 2, 1])[0]
            until = now + random.uniform(2, 8)
            tenant.names_pause = random.random() < 0.5
            setattr(tenant, f"{mood}_until", until)
            self.events[mood] += 1

    async def _operator(self) -> None:
        """Puts back what was disabled once its ban is over, and buys more for what is used up."""
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for standing in await self.components.accounts.list_all():
                account_id = standing.account.id
                tenant = self._ids[account_id]
                if not standing.enabled and tenant.banned_until < now:
                    await self.components.accounts.enable(account_id)
                    self.events["put back"] += 1
                if tenant.left is not None and tenant.left <= 0 and random.random() < 0.2:
                    tenant.left += REFILL
                    async with self.components.database.write() as connection:
                        await limits.take_quota(connection, account_id, Decimal(-REFILL))
                    self.events["bought"] += 1

    async def _sample(self) -> None:
        held = sa.select(slots.c.account_id, sa.func.count()).group_by(slots.c.account_id)
        line = sa.select(sa.func.count()).where(
            tasks.c.state == sa.literal_column("'queued'"), tasks.c.account_id.is_(None)
        )
        began = False
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            async with self.components.database.read() as connection:
                used = {row[0]: int(row[1]) for row in await connection.execute(held)}
                waiting = int((await connection.execute(line)).scalar_one())
            await self.components.pool.refresh()
            began = began or bool(used)  # a worker of another process looks every two seconds at first
            if began and waiting > self.plan.accounts * 10:
                self._take_in(used)

    def _take_in(self, used: dict[str, int]) -> None:
        now = time.time()
        usable = []
        for standing in self.components.pool.cached_statuses():
            account, have = standing.account, used.get(standing.account.id, 0)
            self.sampled.overfilled += have > account.slots
            if standing.blocked_by("sora-2", now) is None and not standing.half_open("sora-2", now):
                usable.append(account)
                room = account.slots
                if standing.quota is not None:  # what is under way has been taken from it already
                    room = min(room, have + int(standing.quota.left))
                self.sampled.used += min(have, room)
                self.sampled.usable += room
        under_way = sum(used.get(account.id, 0) for account in usable)
        weights = sum(account.weight for account in usable)
        for account in usable:
            self.sampled.expected[account.id] += under_way * account.weight / weights
            self.sampled.actual[account.id] += used.get(account.id, 0)

    async def _kill(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(0.5, 1.5) * self.plan.kill_seconds)
            await self._stop_worker(gently=self.kills % 4 == 3)
            self.kills += 1
            await self._start_worker()

    async def _start_worker(self) -> None:
        environment = {
            "FILMGATE_DATA_DIR": str(self._folder),
            "FILMGATE_SECRET_KEY": SECRET,
            "FILMGATE_OUTBOUND_ALLOW": "127.0.0.1",
            "FILMGATE_STUDIO": "off",
            "FILMGATE_LOG_LEVEL": "error",
            "FILMGATE_HEARTBEAT_SECONDS": "5",
        }
        if self._database_url:
            environment["FILMGATE_DATABASE_URL"] = self._database_url
        self._worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.simulated_worker",
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._worker.stdout
        if (await self._worker.stdout.readline()).strip() != b"ready":
            raise SystemExit("the worker did not start")

    async def _stop_worker(self, *, gently: bool = True) -> None:
        if self._worker is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if gently:
                self._worker.terminate()
            else:
                self._worker.kill()
        await self._worker.wait()

    async def _open(self) -> int:
        query = sa.select(sa.func.count()).where(tasks.c.state.not_in(TERMINAL))
        async with self.components.database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def findings(self) -> "Findings":
        async with self.components.database.read() as connection:
            states = {row[0]: int(row[1]) for row in await connection.execute(_by_outcome())}
            leaked = int((await connection.execute(_count(slots))).scalar_one())
            unequal = len(await find_differences(connection))
            money = {
                row.key_id: row.spent + row.reserved
                for row in await connection.execute(sa.select(spending).where(spending.c.period == "total"))
            }
        over = sum(money.get(k.id, 0) > k.budget_total for k in self.keys if k.budget_total is not None)
        tenants = self.vendor.tenants.values()
        return Findings(
            states=states,
            lost=self.plan.tasks - sum(n for outcome, n in states.items() if outcome not in OPEN_WORDS),
            sent_twice=sum(count - 1 for count in self.vendor.prompts.values()),
            over_budget=over,
            unequal_books=unequal,
            over_quota=sum(tenant.over_quota for tenant in tenants),
            leaked=leaked,
            overfilled=self.sampled.overfilled,
            utilisation=self.sampled.used / max(self.sampled.usable, 1),
            shares=sorted(_ratios(self.sampled)),
        )

    def show(self, found: "Findings", console: Console) -> None:
        table = Table("what", "found", "", title_justify="left", title=self._title())
        for what, text, good in found.rows():
            table.add_row(what, text, "ok" if good else "NOT AS IT MUST BE")
        console.print(table)
        console.print(
            f"share of each account against its weight: {', '.join(f'{s:.2f}' for s in found.shares)}"
        )
        console.print(f"ends: {_listed(found.states)}")
        console.print(f"moods and the operator: {_listed(self.events)}")
        console.print(f"refusals by the vendor: {_listed(self.vendor.refusals)}")

    def _title(self) -> str:
        store = "PostgreSQL" if self._database_url else "SQLite"
        capacity = sum(tenant.slots for tenant in self.vendor.tenants.values())
        return (
            f"{self.plan.tasks:,} tasks, {self.plan.accounts} accounts with {capacity} slots, {store}, "
            f"worker stopped {self.kills} times, {self.seconds:.0f} s"
        )

    async def close(self) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        await self._stop_worker(gently=False)
        if self._opened is not None:
            await self._opened.close()
        await self.vendor.close()


@dataclass(frozen=True)
class Findings:
    """What must be as it is said beside each."""

    states: dict[str, int]
    lost: int
    sent_twice: int
    over_budget: int
    unequal_books: int
    over_quota: int
    leaked: int
    overfilled: int
    utilisation: float
    shares: list[float]

    @property
    def harm(self) -> dict[str, int]:
        """All that must be 0."""
        return {
            "tasks lost": self.lost,
            "sent twice": self.sent_twice,
            "over budget": self.over_budget,
            "sums of money that disagree with the ledger": self.unequal_books,
            "sent over a counted quota": self.over_quota,
            "slots leaked": self.leaked,
            "accounts over-filled, by sample": self.overfilled,
        }

    def rows(self) -> list[tuple[str, str, bool]]:
        least, median, most = self.shares[0], self.shares[len(self.shares) // 2], self.shares[-1]
        return [
            *((what, str(count), count == 0) for what, count in self.harm.items()),
            (
                "utilisation of free slots while work waits",
                f"{self.utilisation:.1%}",
                self.utilisation >= 0.95,
            ),
            (
                "share of an account against its weight: least, median, most",
                f"{least:.2f}, {median:.2f}, {most:.2f}",
                least > 0.8 and most < 1.25,
            ),
        ]

    @property
    def good(self) -> bool:
        return all(good for *_, good in self.rows())


OPEN_WORDS = frozenset({"queued", "submitting", "running", "storing"})


def _count(table: sa.Table) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(table)


def _by_outcome() -> sa.Select[Any, Any]:
    outcome = sa.func.coalesce(tasks.c.error_code, tasks.c.state)
    return sa.select(outcome, sa.func.count()).group_by(outcome)


def _ratios(sampled: Sampled) -> list[float]:
    return [sampled.actual[name] / expected for name, expected in sampled.expected.items() if expected] or [
        0.0
    ]


def _listed(counted: dict[str, int] | Counter[str] | Counter[int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counted.items(), key=str)) or "none"


async def simulate(plan: Plan, database_url: str | None, console: Console) -> Findings:
    with tempfile.TemporaryDirectory(prefix="filmgate-simulation-") as folder:
        simulation = Simulation(plan, Path(folder), database_url)
        try:
            await simulation.run()
            found = await simulation.findings()
        finally:
            await simulation.close()
    simulation.show(found, console)
    return found


async def _until_stopped(plan: Plan, database_url: str | None) -> bool:
    """A signal ends it as its own end does: nothing of it stays behind."""
    work = asyncio.ensure_future(simulate(plan, database_url, Console(width=120)))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    return (await work).good


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.simulation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few tasks, to see that it works")
    parser.add_argument("--tasks", type=int, default=10_000, help="how many, over the thirty accounts")
    parser.add_argument("--database", help="an empty PostgreSQL database, postgresql+asyncpg://…")
    given = parser.parse_args()
    plan = (
        Plan(400, 10, job_seconds=5.0, kill_seconds=12.0, limit_seconds=300.0)
        if given.quick
        else Plan(given.tasks, 30, job_seconds=12.0, kill_seconds=40.0, limit_seconds=3600.0)
    )
    logs.set_up(level="error", style="console")
    try:
        good = uvloop.run(_until_stopped(plan, given.database))
    except asyncio.CancelledError:
        good = False
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
