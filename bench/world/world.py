"""One world: a seed's plan played from its begin until all is quiet, over as many processes as die in it."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx2

from bench.world import books
from bench.world.clients import Client
from bench.world.clock import Asleep, Clock, WorldLoop, start_clock, unreal_time
from bench.world.disk import Disk
from bench.world.edges import Edges, Killed
from bench.world.formats import FILM_HOST, HOSTS, PredictionsFormat, Request, VideosFormat
from bench.world.gateway import Gateway, unhurried
from bench.world.plan import Plan, Stop, make_plan
from bench.world.store import Engines
from bench.world.template import adapt
from bench.world.vendors import Faults, NoReply, Reply, Vendor
from bench.world.wire import WorldTransport

GRACE = 40.0
"""Seconds from SIGTERM to SIGKILL."""
DRAIN = 20.0


class World:
    """``say`` gets the trace."""

    def __init__(
        self,
        seed: int,
        *,
        engines: Engines,
        template: bytes,
        root: Path,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.plan: Plan = make_plan(seed)
        self.clock = Clock()
        self.violations: Counter[str] = Counter()
        self.bought_while_draining: list[str] = []
        self._chance = random.Random(seed + 1)
        self._say = say
        self.engines = engines
        self.disk = Disk(root, template)
        adapt(self.disk.data / "filmgate.db", self.plan)
        self.faults = Faults(self.plan, self.clock, self._chance)
        self.disk.is_full = lambda: self.faults.strikes("disk_full")
        self.vendors = [
            Vendor(number, self.plan, self.clock, chance=self._chance, note=self.note) for number in range(2)
        ]
        self._formats: dict[str, Any] = {
            HOSTS[0]: VideosFormat(self.vendors[0], self._chance),
            HOSTS[1]: PredictionsFormat(self.vendors[1], self._chance),
        }
        self.clients = [Client(wish, self.clock, self.note) for wish in self.plan.wishes]
        self._stops = list(self.plan.stops)
        self._freezes = list(self.plan.freezes)
        self._pending_stop: Stop | None = None
        self._healed = False
        self._finished = False
        self._draining_since: float | None = None
        self._edges: Edges | None = None
        self.processes = 0
        self.edges_crossed = 0

    def note(self, text: str) -> None:
        if self._say is not None:
            self._say(f"{self.clock.now:10.3f} {text}")

    def violate(self, what: str) -> None:
        self.violations[what] += 1
        self.note(f"VIOLATION {what}")

    def summary(self) -> str:
        """What must be the same whenever the seed is replayed."""
        return f"{self.clock.now:.6f} s, {self.edges_crossed} edges, {self.processes} processes, {dict(self.violations)}"

    def run(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(unreal_time(self.clock, self._chance))
            stack.enter_context(self.disk.in_use())
            stack.enter_context(unhurried(self.plan, self._state, self.engines.look))
            try:
                while not self._finished:
                    self._run_process()
                books.check(self)
            finally:
                self.disk.remove()

    def _state(self) -> object:
        """Where it is the same, a pass over the rows finds what the one before found, but for the time."""
        return (
            self.processes,
            self.engines.changes,
            self.clock.wall_error,
            self.clock.now >= self.plan.heals_at,
        )

    # ---- processes ------------------------------------------------------------------------------

    def _run_process(self) -> None:
        self.processes += 1
        edges = self._edges = Edges(
            self.clock,
            self._chance,
            pauses=self.plan.pauses if self.clock.now < self.plan.heals_at else 0.0,
            longest_pause=self.plan.longest_pause,
            trace=self.note,
            freezes=self._freezes,
            on_kill=self.disk.take_away,
        )
        self._draining_since = None
        self.disk.edges = edges
        self.engines.begin(self.disk.data / "filmgate.db", edges)
        start_clock(self.clock)
        loop = WorldLoop(self.clock, edges.check_alive)
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(self._on_unhandled)
        self._gateway: Gateway | None = None
        try:
            loop.run_until_complete(self._live())
        except Killed:
            self._bury(loop)
        except Asleep:
            self.violate("the process sleeps for ever")
            self._finished = True
        finally:
            edges.dead = True
            self.disk.edges = None
            self.edges_crossed += edges.count
            if self._gateway is not None:
                self._gateway.drop()
            self.engines.end()
            loop.close()
            asyncio.set_event_loop(None)

    def _bury(self, loop: WorldLoop) -> None:
        """Nothing that a dead process still does reaches the store or the disk."""
        stop = self._pending_stop
        self._pending_stop = None
        silent, sys.unraisablehook = sys.unraisablehook, lambda _: None
        loop.set_exception_handler(lambda _loop, _context: None)
        try:
            for task in asyncio.all_tasks(loop):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with suppress(BaseException):  # it wanted to wait once more, or to cross an edge
                    task.get_coro().close()
            loop._ready.clear()  # type: ignore[attr-defined]
            loop._scheduled.clear()  # type: ignore[attr-defined]
        finally:
            sys.unraisablehook = silent
        if stop is not None:
            if stop.kind == "power":
                lost = self.disk.cut_power()
                self.note(f"the power is cut: {lost} files are lost")
            self.clock.now += stop.down
            self.note(f"started again after {stop.down:.1f} s")
        if self.clock.now > self.plan.end:
            self._finished = True

    def _on_unhandled(self, _loop: Any, context: dict[str, Any]) -> None:
        if self._edges is not None and not self._edges.dead:
            self.violate(f"unhandled: {context['message']}: {context.get('exception')!r}")

    # ---- one process ----------------------------------------------------------------------------

    async def _live(self) -> None:
        assert self._edges is not None
        transport = WorldTransport(self._edges, self._connect, self._serve)
        self._gateway = await Gateway.start(
            self.disk, self.plan, engines=self.engines, edges=self._edges, transport=transport
        )
        components = self._gateway.components
        pursuits = [
            asyncio.create_task(client.pursue(components)) for client in self.clients if not client.is_done
        ]
        jumping = asyncio.create_task(self._jump_clocks())
        while not self._finished:
            if self._stops and self.clock.now >= self._stops[0].at and self._pending_stop is None:
                stop = self._pending_stop = self._stops.pop(0)
                if stop.kind == "term":
                    await self._terminate(stop, pursuits)
                    return
                self._edges.kill_in = stop.edges
            if self.clock.now >= self.plan.heals_at:
                await self._heal()
            if await self._is_quiet() or self.clock.now > self.plan.end:
                self._finished = True
                break
            await asyncio.sleep(self._pause())
        jumping.cancel()
        for pursuit in pursuits:
            pursuit.cancel()
        await asyncio.gather(*pursuits, jumping, return_exceptions=True)
        await self._gateway.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            self.violate(f"tasks of the loop are left: {sorted(task.get_name() for task in left)}")

    def _pause(self) -> float:
        times = [stop.at for stop in self._stops[:1]] + [self.plan.heals_at]
        ahead = [moment - self.clock.now for moment in times if moment > self.clock.now]
        return min([*ahead, self.plan.deadline / 8]) + 0.001

    async def _terminate(self, stop: Stop, pursuits: list[asyncio.Task[None]]) -> None:
        """SIGTERM: relayed calls may hold the drain, then the worker stops; SIGKILL comes after the grace."""
        assert self._gateway is not None and self._edges is not None
        loop = asyncio.get_running_loop()
        self._draining_since = self.clock.now
        self.note("SIGTERM")
        self._gateway.drain.begun = True
        killing = loop.call_later(GRACE, self._edges.kill, "SIGKILL")
        for pursuit in pursuits:
            pursuit.cancel()
        await asyncio.gather(*pursuits, return_exceptions=True)
        await asyncio.sleep(self._chance.choice((0.1, self._chance.uniform(0, DRAIN))))
        await self._gateway.stop()
        killing.cancel()
        self._pending_stop = None
        self.note(f"stopped; started again after {stop.down:.1f} s")
        self.clock.now += stop.down

    async def _jump_clocks(self) -> None:
        for start, seconds, error in self.plan.jumps:
            if self.clock.now < start + seconds:
                await asyncio.sleep(max(0.0, start - self.clock.now))
                self.note(f"the wall clock is wrong by {error:.0f} s")
                self.clock.wall_error = error
                await asyncio.sleep(seconds)
            self.clock.wall_error = 0.0
        await asyncio.sleep(0.5)
        with books.rows_of(self) as rows:
            books.check_films(self, rows)

    async def _heal(self) -> None:
        """From now on nothing goes wrong, and the operator enables what was disabled."""
        if self._healed:
            return
        self._healed = True
        self.note("the world is healthy again")
        assert self._edges is not None and self._gateway is not None
        self._edges.pauses = 0.0
        with books.rows_of(self) as rows:
            books.check_accounts(self, rows)
        for status in await self._gateway.components.pool.current_statuses():
            if not status.enabled:
                await self._gateway.components.pool.set_enabled(status.account.id, enabled=True)

    async def _is_quiet(self) -> bool:
        """Nothing is under way, and nothing of the plan that matters is still to come."""
        assert self._edges is not None and self._gateway is not None
        coming = (
            self._stops
            or self._edges.kill_in is not None
            or any(self.clock.now < sum(jump[:2]) + 1 for jump in self.plan.jumps)
        )
        if coming or (self.plan.crowd and self.clock.now < self.plan.heals_at):
            return False
        if not all(client.is_done for client in self.clients):
            return False
        await self._gateway.components.repository.close()  # what a client asked for who has gone meanwhile
        return not books.open_tasks(self)

    # ---- the network ----------------------------------------------------------------------------

    def _vendor_of(self, host: str) -> Vendor | None:
        if host in HOSTS:
            return self.vendors[HOSTS.index(host)]
        return self.vendors[1] if host == FILM_HOST else None

    def _connect(self, host: str) -> None:
        vendor = self._vendor_of(host)
        if vendor is not None:
            vendor.connect()

    def _serve(self, request: httpx2.Request, body: bytes) -> Reply:
        """What the world itself stumbles over is a finding: the product takes it for a failure of its own run, and a task
        that was never sent breaks no other rule."""
        try:
            return self._answer(request, body)
        except NoReply:
            raise
        except Exception as error:
            self.violate(f"the world has no answer to the product: {error!r}")
            raise

    def _answer(self, request: httpx2.Request, body: bytes) -> Reply:
        url = request.url
        vendor = self._vendor_of(url.host)
        if vendor is None:
            return self._receive_hook(url.host)
        vendor.receive()
        if url.host == FILM_HOST:
            reply = vendor.film(url.path.strip("/").removesuffix(".mp4"))
        else:
            self._check_submission(request)
            reply = self._formats[url.host].answer(Request(request.method, url.path, request.headers, body))
        if self._say is not None:
            self.note(f"{request.method} {url} -> {reply.status} {reply.body[:80]!r}")
        return vendor.send_off(reply)

    def _check_submission(self, request: httpx2.Request) -> None:
        if request.method != "POST" or request.url.path.endswith("/cancel"):
            return
        books.check_slots(self)
        since = self._draining_since
        if since is not None and self.clock.now > since + 1.0:
            self.violate("a film is bought while the process drains")

    def _receive_hook(self, host: str) -> Reply:
        if not host.startswith("hook-well") and self.faults.strikes("deaf", 0):
            raise NoReply("hang", 1e9)
        if not host.startswith("hook-well") and self.faults.strikes("broken"):
            return Reply(500, {}, b"")
        return Reply(200, {}, b"")
