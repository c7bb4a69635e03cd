"""Operator notices: deduplicated, written to the outbox, and delivered like other webhooks."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import structlog

from app import clock
from app.db import marks
from app.db.batches import write_in_halves
from app.db.connection import AsyncConnection
from app.db.session import Database
from app.errors import FilmgateError, NotFound
from app.foreign import clean_document, writable_text
from app.options import OptionsRepository
from app.webhooks import outbox
from app.webhooks.chat_forms import TELEGRAM, chat_message, notice_text, notice_title
from app.webhooks.event_bodies import new_id
from app.webhooks.mail import MailMessage, MailSender
from app.webhooks.notice_options import NoticeOptions, NoticeReceiver
from app.webhooks.sender import AttemptOutcome, WebhookMessage, WebhookSender

log = structlog.get_logger()
OPERATOR = "operator"
"""The owner of these deliveries; owners of keys have other names."""
MAX_WAITING = 1000
RETRY_SECONDS = 1.0
REPEAT_SECONDS = 10.0
"""Within this time a repeated notice is dropped without a query."""
SUBJECT = ("account", "key", "kind", "model", "period")
MAX_MARK_LENGTH = 300


@dataclass(frozen=True, slots=True)
class OperatorNotice:
    """``data`` is JSON without secrets. ``once_until`` (UTC seconds): the same notice is not repeated before, instead
    of the operator's ``quiet_seconds``."""

    topic: str
    data: Mapping[str, Any] = field(default_factory=dict)
    once_until: float | None = None
    edition: str = ""
    """The notice is repeated at once when this value changes."""

    @property
    def dedup_mark(self) -> str:
        """Equal notices have equal marks. Cooldowns of many models of one account are one subject."""
        named = [str(self.data[name]) for name in SUBJECT if name in self.data]
        about = named[:1] if "account" in self.data else named
        return writable_text("/".join([f"notice:{self.topic}", *about, self.edition])[:MAX_MARK_LENGTH])


class OperatorNotices:
    """Collects notices in memory; one background task per process writes them to the outbox."""

    def __init__(
        self, database: Database, options: OptionsRepository, sender: WebhookSender, *, mail: MailSender
    ) -> None:
        self._database = database
        self._options = options
        self.sender = sender
        self._mail = mail
        self._waiting: dict[str, OperatorNotice] = {}
        self._written_until: dict[str, float] = {}
        self._news = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def notify(self, topic: str, data: Mapping[str, Any]) -> None:
        """Returns at once. Cheap for repeated notices: some come with every request."""
        notice = OperatorNotice(topic, data)
        if self._written_until.get(notice.dedup_mark, 0.0) > time.monotonic():
            return
        if len(self._waiting) >= MAX_WAITING:
            log.warning("notice.dropped", topic=topic)
            return
        self._waiting.setdefault(notice.dedup_mark, notice)
        self._news.set()

    async def start(self) -> None:
        self._writing = asyncio.create_task(self._flush_forever(), name="notices")

    async def close(self) -> None:
        """Write the notices that are still in memory."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._flush_if_possible()

    async def write(self, notices: Iterable[OperatorNotice]) -> int:
        """Insert deliveries for the receivers of each topic, without recent repetitions; how many."""
        wanted = await self._options.read(NoticeOptions)
        listened = [notice for notice in notices if wanted.receivers_of(notice.topic)]
        if not listened:
            return 0
        async with self._database.write() as connection:
            return await insert_notices(connection, wanted, listened)

    async def message_for(
        self, delivery_id: str, endpoint_id: str | None, body: str
    ) -> WebhookMessage | MailMessage | None:
        """The message with the receiver's present URL and secrets; None when the receiver was removed."""
        wanted = await self._options.read(NoticeOptions)
        for receiver in wanted.receivers:
            if receiver.enabled and _endpoint_id(receiver) == endpoint_id:
                return _message_to(receiver, delivery_id, body)
        return None

    async def send(self, message: WebhookMessage | MailMessage) -> AttemptOutcome:
        """Never raises for failures of the receiver or the network."""
        if isinstance(message, MailMessage):
            return await self._mail.send(message)
        return await self.sender.send(message)

    async def send_samples(self, only: str | None = None) -> list[tuple[str, AttemptOutcome]]:
        """Send each receiver, or the one of this name, a sample at once, outside the outbox; outcomes by name."""
        wanted = await self._options.read(NoticeOptions)
        body = _notice_body("test", {"text": "A test of Filmgate's operator notices."}, at=clock.now())
        receivers = [each for each in wanted.receivers if (each.name == only if only else each.enabled)]
        if only and not receivers:
            raise NotFound(f"There is no receiver {only} of notices.")
        sent = (self.send(_message_to(receiver, new_id("wh"), body)) for receiver in receivers)
        outcomes = await asyncio.gather(*sent)
        return [(receiver.name, outcome) for receiver, outcome in zip(receivers, outcomes, strict=True)]

    async def _flush_forever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if not await self._flush_if_possible():
                await asyncio.sleep(RETRY_SECONDS)
                self._news.set()

    async def _flush_if_possible(self) -> bool:
        waiting = dict(self._waiting)
        try:
            away = await write_in_halves(list(waiting.values()), self._write_part, refused=_report_refused)
        except FilmgateError as error:
            away = error
        if away is not None:
            log.warning("notices.delayed", error=type(away).__name__, waiting=len(waiting))
            return False
        now = time.monotonic()
        self._written_until = {mark: until for mark, until in self._written_until.items() if until > now}
        for mark in waiting:
            del self._waiting[mark]
            self._written_until[mark] = now + REPEAT_SECONDS
        return True

    async def _write_part(self, notices: list[OperatorNotice]) -> None:
        await self.write(notices)


async def insert_notices(
    connection: AsyncConnection, wanted: NoticeOptions, notices: Iterable[OperatorNotice]
) -> int:
    """Insert their deliveries in the caller's transaction; how many."""
    now, written = clock.now(), 0
    await marks.delete_expired_marks(connection, now=now)
    for notice in notices:
        receivers = wanted.receivers_of(notice.topic)
        until = notice.once_until or now + wanted.quiet_seconds
        if receivers and await marks.claim_mark(connection, notice.dedup_mark, until=until, now=now):
            rows = [_delivery_row(receiver, notice, at=now) for receiver in receivers]
            await outbox.insert_deliveries(connection, rows)
            written += len(rows)
    return written


def _report_refused(notice: OperatorNotice, error: Exception) -> None:
    log.error("notice.refused", topic=notice.topic, error=type(error).__name__)


def _endpoint_id(receiver: NoticeReceiver) -> str:
    return f"notice:{receiver.name}"


def _delivery_row(receiver: NoticeReceiver, notice: OperatorNotice, *, at: float) -> dict[str, Any]:
    return outbox.delivery_row(
        OPERATOR,
        notice.topic,
        url=_listed_url(receiver),
        endpoint_id=_endpoint_id(receiver),
        body=_notice_body(notice.topic, notice.data, at=at),
    )


def _notice_body(topic: str, data: Mapping[str, Any], *, at: float) -> str:
    return json.dumps({"topic": topic, "created_at": int(at), "data": clean_document(dict(data))})


def _listed_url(receiver: NoticeReceiver) -> str:
    """As the log of deliveries shows it: the whole address of a chat's bot is its secret."""
    url = httpx2.URL(receiver.url or TELEGRAM)
    return receiver.url if receiver.kind == "webhook" else f"{url.scheme}://{url.netloc.decode()}"


def _message_to(receiver: NoticeReceiver, delivery_id: str, body: str) -> WebhookMessage | MailMessage:
    if receiver.kind == "email":
        return MailMessage(
            delivery_id,
            receiver.url,
            sender=receiver.sender,
            recipients=receiver.recipients,
            subject=notice_title(body, language=receiver.language),
            text=notice_text(body, language=receiver.language),
            user=receiver.user,
            password=receiver.token.get_secret_value(),
        )
    if receiver.kind != "webhook":
        return chat_message(delivery_id, receiver, body, now=clock.now())
    secret, token = receiver.secret.get_secret_value(), receiver.token.get_secret_value()
    return WebhookMessage(
        delivery_id,
        receiver.url,
        body.encode(),
        valid=[secret] if secret else [],
        headers={"authorization": f"Bearer {token}"} if token else {},
    )
