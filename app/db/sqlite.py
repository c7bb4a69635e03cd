"""SQLite: its connections, and its one writer, which takes the writes of a process in groups.

A write's statements run on the event loop's own thread, one write after the other, each a savepoint. When no more writes
wait, one commit in a thread makes all of them durable, and each of them has waited for it. A write whose statements may
take long is a group of its own and runs in the thread as a whole.

Crash points. Before the commit is on disk none of the group has returned from ``write``, so nobody was told anything of
what is lost; a commit that fails, fails all of them. After it all of their rows are there. A write that fails or is
cancelled takes back its own savepoint only. One that is cancelled while it waits for the commit is written all the same.
"""

import asyncio
import random
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError

from app.db.kept_statements import Parameters, execute_here

LOCKED_SECONDS = 30.0
"""So long a write waits for another process that writes the same file."""
SHARED_SECONDS = 0.1
"""Readers wait for nobody but a process that opens the file after a crash or closes it as the last: for a moment."""
READERS = 4
"""So many reads run at once, each in a thread."""
GROUP_SECONDS = 0.02
"""A group that is older takes no more writes."""
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.02
"""Between two attempts to begin, while another process writes; and the first also between two groups, so that such a
process gets its turn."""
NAME = "one_write"
SAVEPOINT = f"SAVEPOINT {NAME}"
ROLLED_BACK = "the transaction was rolled back"


def open_direct_connection(url: str) -> sa.Connection:
    """A connection for reads on the event loop's own thread, which waits for a lock no longer than ``SHARED_SECONDS``."""
    return _create_engine(url, timeout=SHARED_SECONDS).connect()


def _create_engine(url: str, *, timeout: float) -> sa.Engine:
    return sa.create_engine(
        url.replace("+aiosqlite", ""),
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        connect_args={"timeout": timeout, "check_same_thread": False, "cached_statements": 512},
        poolclass=sa.NullPool,
    )


def _prepare_connection(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # WAL lets readers go on beside the writer; FULL makes a commit survive a power cut: rows here
    # are receipts for money.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class DirectConnection:
    """What callers use of SQLAlchemy's ``AsyncConnection``: each statement is run where it is called, or in ``thread``."""

    def __init__(
        self, connection: sa.Connection, *, is_write: bool = False, thread: ThreadPoolExecutor | None = None
    ) -> None:
        self.dialect = connection.dialect
        self._connection = connection
        self._raw: Any = connection.connection.dbapi_connection
        self._is_write = is_write
        self._is_over = False
        self._thread = thread
        self._job: asyncio.Future[Any] | None = None

    async def execute(self, statement: sa.Executable, parameters: Parameters = None) -> sa.Result[Any]:
        if self._is_over:
            raise RuntimeError("the write that this connection was given for is over")
        if self._is_write and not self._raw.in_transaction:
            raise OperationalError(None, None, sqlite3.OperationalError(ROLLED_BACK))
        if self._thread is None:
            return execute_here(self._connection, statement, parameters)
        loop = asyncio.get_running_loop()
        self._job = loop.run_in_executor(self._thread, self._execute_whole, statement, parameters)
        return await asyncio.shield(self._job)  # a statement that has begun can't be stopped

    @asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[None]:
        await self.execute(sa.text("SAVEPOINT nested"))
        succeeded = False
        try:
            yield
            succeeded = True
        finally:
            if not succeeded:
                await self.execute(sa.text("ROLLBACK TO nested"))
            await self.execute(sa.text("RELEASE nested"))

    def end(self) -> None:
        self._is_over = True

    async def wait_for_thread(self) -> None:
        if self._job is not None:
            await asyncio.wait([self._job])

    def call_when_free(self, callback: Callable[[], None]) -> None:
        """At once, or when the statement that is under way has ended: one that was given up runs on."""
        if self._job is None or self._job.done():
            callback()
        else:
            self._job.add_done_callback(lambda _: callback())

    def _execute_whole(self, statement: sa.Executable, parameters: Parameters) -> sa.Result[Any]:
        result = self._connection.execute(statement, parameters)
        return result.freeze()() if result.returns_rows else result


class SqliteReader:
    """Reads in threads, each on a connection that is kept for the next. They open no transaction, so there is nothing to set
    up before and to undo after each."""

    def __init__(self, url: str) -> None:
        self._engine = _create_engine(url, timeout=LOCKED_SECONDS)
        event.listen(self._engine, "connect", _prepare_connection)
        self._threads = ThreadPoolExecutor(READERS, "sqlite-reader")
        self._turns = asyncio.Semaphore(READERS)
        self._idle: list[sa.Connection] = []
        self._is_closed = False

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[DirectConnection]:
        """Raises ``TimeoutError`` when no connection is free for long."""
        async with asyncio.timeout(LOCKED_SECONDS):
            await self._turns.acquire()
        with ExitStack() as stack:
            stack.callback(self._turns.release)
            connection = self._idle.pop() if self._idle else await self._open()
            direct = DirectConnection(connection, thread=self._threads)
            stack.pop_all()
        try:
            yield direct
        finally:
            direct.end()
            direct.call_when_free(partial(self._take_back, connection))

    async def dispose(self) -> None:
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()
        self._threads.shutdown(wait=False)

    async def _open(self) -> sa.Connection:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._engine.connect)

    def _take_back(self, connection: sa.Connection) -> None:
        self._turns.release()
        if self._is_closed:
            connection.close()
        else:
            self._idle.append(connection)


class WaitingWrite:
    """A write that waits until it may begin."""

    def __init__(self, *, in_thread: bool) -> None:
        self.in_thread = in_thread
        self.since = time.monotonic()
        self._woken: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Until it is woken. Raises what it is woken with."""
        self._woken = asyncio.get_running_loop().create_future()
        await self._woken

    def wake_up(self, error: DBAPIError | None = None) -> None:
        if self._woken is None or self._woken.done():
            return
        if error is None:
            self._woken.set_result(None)
        else:
            self._woken.set_exception(_copy_error(error))


class WriteGroup:
    """Writes that one commit makes durable."""

    def __init__(self) -> None:
        self.size = 0
        self.failure: DBAPIError | None = None
        self.alone: DirectConnection | None = None
        """Of a write whose statements run in the thread: it has no savepoint, and no others beside it."""
        self.ending = "COMMIT"
        self._ended: asyncio.Future[DBAPIError | None] = asyncio.get_running_loop().create_future()

    def end(self, error: DBAPIError | None) -> None:
        self._ended.set_result(error)

    async def wait_until_durable(self) -> None:
        await asyncio.wait([self._ended])  # a writer that is cancelled here takes the future from nobody
        error = self._ended.result()
        if error is not None:
            raise _copy_error(error) from error


class SqliteWriter:
    """All writes of this process, on one connection."""

    def __init__(self, url: str) -> None:
        self.engine = _create_engine(url, timeout=LOCKED_SECONDS)
        event.listen(self.engine, "connect", _prepare_connection)
        self._connection: sa.Connection | None = None
        self._raw: Any = None
        self._thread = ThreadPoolExecutor(1, "sqlite-writer")
        self._queue: deque[WaitingWrite] = deque()
        self._open_group: WriteGroup | None = None
        self._no_body = asyncio.Event()
        """No write is between its first statement and its last."""
        self._no_body.set()
        self._work: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def write(
        self, *, is_next: bool = False, in_thread: bool = False
    ) -> AsyncIterator[DirectConnection]:
        """One write. ``is_next``: it goes before all that wait. ``in_thread``: its statements may take long, so they are
        run in a thread, and the write is a group of its own."""
        group = await self._join_group(is_next=is_next, in_thread=in_thread)
        assert self._connection is not None
        connection = DirectConnection(
            self._connection, is_write=True, thread=self._thread if in_thread else None
        )
        group.alone = connection if in_thread else None
        succeeded = False
        try:
            yield connection
            succeeded = True
        finally:
            connection.end()
            self._end_body(group, succeeded=succeeded)
            # After a failure too: it may come from rows of this group, as a key does that is taken.
            await group.wait_until_durable()

    async def close(self) -> None:
        """Waits for the writes that are under way."""
        if self._work is not None and not self._work.done():
            await asyncio.wait([self._work])
        self._drop_connection()
        self._thread.shutdown(wait=False)

    # ---- one write ------------------------------------------------------------------------------

    async def _join_group(self, *, is_next: bool, in_thread: bool) -> WriteGroup:
        entry = WaitingWrite(in_thread=in_thread)
        (self._queue.appendleft if is_next else self._queue.append)(entry)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._write_groups())
        group = None
        try:
            while (group := self._group_for(entry)) is None:
                await entry.wait()
            if not in_thread:
                self._run_sql(SAVEPOINT)
            self._no_body.clear()
            group.size += 1
        finally:
            self._queue.remove(entry)
            if self._no_body.is_set():
                self._wake_first()
        return group

    def _group_for(self, entry: WaitingWrite) -> WriteGroup | None:
        """None: it must wait."""
        group, is_first = self._open_group, self._queue[0] is entry
        if group is None or group.failure is not None or not self._no_body.is_set() or not is_first:
            return None
        return None if entry.in_thread and group.size else group

    def _end_body(self, group: WriteGroup, *, succeeded: bool) -> None:
        if group.alone is not None:
            group.ending = "COMMIT" if succeeded else "ROLLBACK"
        elif not self._raw.in_transaction:  # as SQLite does by itself when the disk is full
            group.failure = OperationalError(None, None, sqlite3.OperationalError(ROLLED_BACK))
        else:
            try:
                if not succeeded:
                    self._run_sql(f"ROLLBACK TO {NAME}")
                self._run_sql(f"RELEASE {NAME}")
            except DBAPIError as error:
                group.failure = error
        self._no_body.set()
        self._wake_first()

    def _wake_first(self) -> None:
        if self._queue:
            self._queue[0].wake_up()

    # ---- one group after the other --------------------------------------------------------------

    async def _write_groups(self) -> None:
        """Until no write waits. It belongs to no writer, so no writer's end leaves a transaction open."""
        while await self._begin_transaction():
            await self._write_group(WriteGroup())
            if self._queue:
                await asyncio.sleep(FIRST_PAUSE)

    async def _begin_transaction(self) -> bool:
        """False when no write waits any more. A lock of another process is waited for without blocking the loop."""
        pause = FIRST_PAUSE
        while self._queue:
            try:
                if self._connection is None:
                    await asyncio.get_running_loop().run_in_executor(self._thread, self._open_connection)
                self._run_sql("BEGIN IMMEDIATE")
                return True
            except DBAPIError as error:
                is_locked = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                self._refuse_waiting(error, longer_than=LOCKED_SECONDS if is_locked else 0.0)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, LONGEST_PAUSE)
        return False

    def _refuse_waiting(self, error: DBAPIError, *, longer_than: float) -> None:
        until = time.monotonic() - longer_than
        for entry in self._queue:
            if entry.since <= until:
                entry.wake_up(error)

    async def _write_group(self, group: WriteGroup) -> None:
        error: DBAPIError | None = OperationalError(None, None, sqlite3.OperationalError("interrupted"))
        try:
            await self._collect_writes(group)
            if group.failure is not None:
                raise group.failure
            if group.alone is not None:
                await group.alone.wait_for_thread()
            await asyncio.get_running_loop().run_in_executor(self._thread, self._run_sql, group.ending)
            error = None
        except DBAPIError as failure:
            error = failure
        finally:
            self._open_group = None
            if error is not None:
                self._drop_connection()
            group.end(error)

    async def _collect_writes(self, group: WriteGroup) -> None:
        self._open_group = group
        for entry in self._queue:
            entry.wake_up()
        ends_at, more = time.monotonic() + GROUP_SECONDS, True
        while more:
            await asyncio.sleep(0)
            while not self._no_body.is_set():
                await self._no_body.wait()
            is_over = group.failure is not None or group.alone is not None or time.monotonic() > ends_at
            more = bool(self._queue) and not is_over and not (self._queue[0].in_thread and group.size)
        self._open_group = None  # who comes now waits for the next

    # ---- the connection -------------------------------------------------------------------------

    def _open_connection(self) -> None:
        connection = self.engine.connect()
        self._raw = connection.connection.dbapi_connection
        self._raw.execute("PRAGMA busy_timeout=0")  # the loop's thread never waits for a lock
        self._connection = connection

    def _drop_connection(self) -> None:
        """Whatever state it is in; the next group opens another."""
        if self._connection is None:
            return
        with suppress(sqlite3.Error):
            self._raw.rollback()
        self._connection.close()
        self._connection = None

    def _run_sql(self, sql: str) -> None:
        try:
            self._raw.execute(sql)
        except sqlite3.Error as error:
            raise DBAPIError.instance(sql, None, error, sqlite3.Error) from error


def _copy_error(error: DBAPIError) -> DBAPIError:
    """One for each who is told, as a traceback grows with everyone who raises it."""
    return type(error)(error.statement, error.params, error.orig)  # type: ignore[arg-type]
