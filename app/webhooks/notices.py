"""What the operator should hear about: held down, written to the outbox, and delivered like any webhook."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from app.db import marks
from app.db.session import DATABASE_AWAY, Database
from app.errors import FilmgateError
from app.options.options import Options
from app.webhooks import outbox
from app.webhooks.events import new_id
from app.webhooks.notice_options import NoticeOptions, NoticeReceiver
from app.webhooks.sender import Message, Outcome, Sender

log = structlog.get_logger()
OPERATOR = "operator"
"""The owner of these deliveries: no key's is called so."""
MOST_WAITING = 1000
AGAIN_SECONDS = 1.0
LULL_SECONDS = 10.0
"""Within this process the same is not even looked at again for so long."""
SUBJECT = ("account", "key", "kind", "model", "period")
LONGEST_MARK = 300


@dataclass(frozen=True, slots=True)
class Notice:
    """``data`` is JSON without a secret. ``once_until`` (UTC seconds) holds the same down for longer than
    the operator's ``quiet_seconds``."""

    topic: str
    data: Mapping[str, Any] = field(default_factory=dict)
    once_until: float | None = None
    edition: str = ""
    """Told again when this is another."""

    @property
    def mark(self) -> str:
        """One account that rests for many models is one subject."""
        named = [str(self.data[name]) for name in SUBJECT if name in self.data]
        about = named[:1] if "account" in self.data else named
        return "/".join([f"notice:{self.topic}", *about, self.edition])[:LONGEST_MARK]


class OperatorNotices:
    """``tell`` from anywhere; one task of each process writes down what was told. Start and close it."""

    def __init__(self, database: Database, options: Options, sender: Sender) -> None:
        self._database = database
        self._options = options
        self._sender = sender
        self._waiting: dict[str, Notice] = {}
        self._lately: dict[str, float] = {}
        self._news = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def tell(self, topic: str, data: Mapping[str, Any]) -> None:
        """Returns at once. What was told a moment ago costs nothing: it may come with every request."""
        notice = Notice(topic, data)
        if self._lately.get(notice.mark, 0.0) > time.monotonic():
            return
        if len(self._waiting) >= MOST_WAITING:
            log.warning("notice.dropped", topic=topic)
            return
        self._waiting.setdefault(notice.mark, notice)
        self._news.set()

    async def start(self) -> None:
        self._writing = asyncio.create_task(self._run(), name="notices")

    async def close(self) -> None:
        """What was told last is still written."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._flush_if_possible()

    async def write(self, notices: Iterable[Notice]) -> int:
        """Into the outbox, what somebody wants and was not told lately; for how many receivers."""
        wanted = await self._options.read(NoticeOptions)
        listened = [notice for notice in notices if wanted.told_of(notice.topic)]
        if not listened:
            return 0
        now, written = time.time(), 0
        async with self._database.write() as connection:
            await marks.forget(connection, now=now)
            for notice in listened:
                until = notice.once_until or now + wanted.quiet_seconds
                if await marks.take(connection, notice.mark, until=until, now=now):
                    receivers = wanted.told_of(notice.topic)
                    rows = [_row(receiver, notice, at=now) for receiver in receivers]
                    await outbox.put(connection, rows)
                    written += len(rows)
        return written

    async def message(self, delivery_id: str, endpoint_id: str | None, body: str) -> Message | None:
        """A delivery as it goes out now: to the receiver of that name as it is set today; None: it is gone."""
        wanted = await self._options.read(NoticeOptions)
        for receiver in wanted.receivers:
            if receiver.enabled and _endpoint_id(receiver) == endpoint_id:
                return _message(delivery_id, receiver, body)
        return None

    async def test(self) -> list[tuple[str, Outcome]]:
        """Send each receiver a sample at once, outside the outbox; by name, what it made of it."""
        wanted = await self._options.read(NoticeOptions)
        body = _body("test", {"text": "A test of Filmgate's operator notices."}, at=time.time())
        receivers = [receiver for receiver in wanted.receivers if receiver.enabled]
        sent = (self._sender.send(_message(new_id("wh"), receiver, body)) for receiver in receivers)
        outcomes = await asyncio.gather(*sent)
        return [(receiver.name, outcome) for receiver, outcome in zip(receivers, outcomes, strict=True)]

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if not await self._flush_if_possible():
                await asyncio.sleep(AGAIN_SECONDS)
                self._news.set()

    async def _flush_if_possible(self) -> bool:
        waiting = dict(self._waiting)
        try:
            if waiting:
                await self.write(waiting.values())
        except (*DATABASE_AWAY, FilmgateError) as error:
            log.warning("notices.delayed", error=type(error).__name__, waiting=len(waiting))
            return False
        now = time.monotonic()
        self._lately = {mark: until for mark, until in self._lately.items() if until > now}
        for mark in waiting:
            del self._waiting[mark]
            self._lately[mark] = now + LULL_SECONDS
        return True


def _endpoint_id(receiver: NoticeReceiver) -> str:
    return f"notice:{receiver.name}"


def _row(receiver: NoticeReceiver, notice: Notice, *, at: float) -> dict[str, Any]:
    return outbox.row(
        OPERATOR,
        notice.topic,
        url=receiver.url,
        endpoint_id=_endpoint_id(receiver),
        body=_body(notice.topic, notice.data, at=at),
    )


def _body(topic: str, data: Mapping[str, Any], *, at: float) -> str:
    return json.dumps({"topic": topic, "created_at": int(at), "data": dict(data)})


def _message(delivery_id: str, receiver: NoticeReceiver, body: str) -> Message:
    secret, token = receiver.secret.get_secret_value(), receiver.token.get_secret_value()
    return Message(
        delivery_id,
        receiver.url,
        body.encode(),
        valid=[secret] if secret else [],
        headers={"authorization": f"Bearer {token}"} if token else {},
    )
