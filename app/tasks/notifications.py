"""Notifications about tasks: within the process, and to other replicas by PostgreSQL's LISTEN/NOTIFY."""

import asyncio
import json
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from app.db.changes import CHANGES
from app.late import LateModule
from app.tasks.states import TERMINAL

if TYPE_CHECKING:
    import asyncpg

    from app.db import postgres
else:
    postgres = LateModule("app.db.postgres")

log = structlog.get_logger()
CHANNEL = "filmgate_tasks"
NOTIFY_LIMIT = 7_000  # PostgreSQL allows less than 8,000 bytes in one notification
NOTICES_AT_ONCE = 200
GATHER_SECONDS = 0.02
"""After a batch was sent, the next one gathers for so long: a busy gateway has a notice every few milliseconds."""
RECONNECT_SECONDS = 1.0
QUIET_SECONDS = 5.0
"""After so long without a notification the connection is asked for a sign of life."""


@dataclass(frozen=True, slots=True)
class Notification:
    """``kind``: ``progress``, ``state``, ``cancel`` (the task's run should stop), ``wake`` (a task waits, or a slot
    is free)."""

    kind: str
    id: str = ""
    state: str = ""
    progress: float = 0.0
    generating: bool = False


class NotificationHub:
    """Publish and subscribe, by task id or by kind. ``on_change``: who is told, with an id or none, that rows of a kind
    have changed (``app/db/changes.py``)."""

    def __init__(
        self,
        *,
        postgres_url: str | None = None,
        on_change: Mapping[str, Callable[[str], None]] | None = None,
    ) -> None:
        self._listeners: dict[str, set[asyncio.Queue[Notification]]] = defaultdict(set)
        self._url = postgres_url
        self._on_change = dict(on_change or {})
        self._name = secrets.token_hex(8)
        self._outbox: asyncio.Queue[Notification] = asyncio.Queue()
        self._jobs: list[asyncio.Task[None]] = []

    def publish(self, changes: Iterable[Notification]) -> None:
        """Notify subscribers here at once and on other replicas soon. A lost notification only delays: the rows are
        the truth."""
        for change in changes:
            self._deliver_locally(change)
            if self._url:
                self._outbox.put_nowait(change)

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[asyncio.Queue[Notification]]:
        """A queue of the notifications about one task (its id), of one kind (``cancel``, ``wake`` …), or about
        ended tasks (``ended``)."""
        queue: asyncio.Queue[Notification] = asyncio.Queue()
        self._listeners[topic].add(queue)
        try:
            yield queue
        finally:
            self._listeners[topic].discard(queue)
            if not self._listeners[topic]:
                del self._listeners[topic]

    async def start(self) -> None:
        if self._url:
            self._jobs = [
                asyncio.create_task(self._send_forever()),
                asyncio.create_task(self._receive_forever()),
            ]

    async def stop(self) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._jobs = []

    def _deliver_locally(self, change: Notification) -> None:
        # A change without a state comes from a sweep: the task may have ended.
        ended = change.kind == "state" and (change.state in TERMINAL or not change.state)
        for topic in (change.id, change.kind, *(("ended",) if ended else ())):
            for queue in self._listeners.get(topic, ()):
                queue.put_nowait(change)

    async def _connect(self) -> "asyncpg.Connection":
        assert self._url is not None
        return await postgres.open_connection(self._url)

    async def _send_forever(self) -> None:
        """Send notifications in batches; drop them while the database is away."""
        while True:
            try:
                await self._send_until_cut()
            except postgres.CONNECTION_AWAY as error:
                log.warning("notices.dropped", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)
            while not self._outbox.empty():  # outdated by now
                self._outbox.get_nowait()

    async def _send_until_cut(self) -> None:
        connection = await self._connect()
        try:
            while True:
                batch = [await self._outbox.get()]
                while not self._outbox.empty() and len(batch) < NOTICES_AT_ONCE:
                    batch.append(self._outbox.get_nowait())
                for payload in _notice_payloads(batch, sender=self._name):
                    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
                await asyncio.sleep(GATHER_SECONDS)
        finally:
            connection.terminate()

    async def _receive_forever(self) -> None:
        while True:
            with suppress(*postgres.CONNECTION_AWAY):
                await self._listen_until_cut()
            log.warning("notices.interrupted")
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_until_cut(self) -> None:
        connection = await self._connect()
        cut = asyncio.Event()
        connection.add_termination_listener(lambda _: cut.set())
        try:
            await connection.add_listener(CHANNEL, self._on_notice)
            await connection.add_listener(CHANGES, self._on_changed_rows)
            for changed in self._on_change.values():
                changed("")  # nobody knows what was announced while there was no connection
            while not await _set_within(cut, QUIET_SECONDS):
                # A server that went silent never closes the connection.
                await connection.fetchrow(";", timeout=postgres.PING_SECONDS)
        finally:
            connection.terminate()

    def _on_notice(self, *notice: Any) -> None:
        """``notice``: connection, process id, channel, payload."""
        sender, documents = json.loads(notice[-1])
        if sender == self._name:
            return  # delivered when it was published
        for document in documents:
            self._deliver_locally(Notification(**document))

    def _on_changed_rows(self, *notice: Any) -> None:
        """``notice``: connection, process id, channel, payload. A newer version may announce kinds unknown here."""
        kind, _, which = notice[-1].partition(" ")
        if kind in self._on_change:
            self._on_change[kind](which)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


def _notice_payloads(changes: list[Notification], *, sender: str) -> Iterable[str]:
    batch: list[str] = []
    size = 0
    for change in changes:
        text = json.dumps({name: getattr(change, name) for name in Notification.__slots__})
        if batch and size + len(text) + 2 > NOTIFY_LIMIT:
            yield f'["{sender}", [{", ".join(batch)}]]'
            batch, size = [], 0
        batch.append(text)
        size += len(text) + 2
    if batch:
        yield f'["{sender}", [{", ".join(batch)}]]'
