"""Notices as e-mail: one message over SMTP, to an address that the outbound guard has checked, off the loop."""

import asyncio
import smtplib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate

import httpx2

from app.errors import OutboundRefused
from app.foreign import clean_text
from app.webhooks.sender import AttemptOutcome

HostResolver = Callable[[str, int], Awaitable[list[str]]]
MAIL_PORTS = frozenset({25, 465, 587, 2525})
DEFAULT_PORTS = {"smtps": 465, "smtp": 587, "smtp+plain": 25}
MAIL_SECONDS = 20.0
ACCEPTED = 250
NO_TLS = "The server offers no TLS. smtp+plain:// sends without it, for a server in your own network."
LONGEST_ANSWER = 200


@dataclass(frozen=True, slots=True)
class MailMessage:
    """``url``: ``smtps://host`` with TLS from the beginning, ``smtp://host`` with STARTTLS, ``smtp+plain://host``."""

    id: str
    url: str
    sender: str
    recipients: Sequence[str]
    subject: str
    text: str
    user: str = ""
    password: str = field(default="", repr=False)


class MailSender:
    """``resolve`` gives the addresses of a host and port that we may connect to, or raises ``OutboundRefused``."""

    def __init__(self, resolve: HostResolver, *, seconds: float = MAIL_SECONDS) -> None:
        self._resolve = resolve
        self._seconds = seconds

    async def send(self, message: MailMessage) -> AttemptOutcome:
        """Never raises for failures of the server or the network. ``status`` is SMTP's."""
        began, target = time.monotonic(), httpx2.URL(message.url)
        port = target.port or DEFAULT_PORTS[target.scheme]
        status: int | None = None
        try:
            addresses = await self._resolve(target.host, port)
            client = _GuardedClient(target.host, port, address=addresses[0], scheme=target.scheme)
            await asyncio.to_thread(_send_mail, client, message, self._seconds)
            status, error = ACCEPTED, None
        except OutboundRefused as refusal:
            error = refusal.message
        except smtplib.SMTPRecipientsRefused as refusal:
            status, said = next(iter(refusal.recipients.values()))
            error = _words(said)
        except smtplib.SMTPResponseException as refusal:
            status, error = refusal.smtp_code, _words(refusal.smtp_error)
        except (smtplib.SMTPException, OSError) as failure:
            error = _words(str(failure)) or type(failure).__name__
        return AttemptOutcome(status, error, milliseconds=(time.monotonic() - began) * 1000)


class _GuardedClient(smtplib.SMTP):
    """Dials the address that was checked, and not what the name means a moment later."""

    def __init__(self, host: str, port: int, *, address: str, scheme: str) -> None:
        super().__init__()
        self.target = host, port
        self.scheme = scheme
        self._address = address

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened = socket.create_connection((self._address, port), timeout)
        if self.scheme != "smtps":
            return opened
        return ssl.create_default_context().wrap_socket(opened, server_hostname=host)


def _send_mail(client: _GuardedClient, message: MailMessage, seconds: float) -> None:
    host, port = client.target
    client.timeout = seconds
    # STARTTLS verifies the certificate for this name.
    client._host = host  # type: ignore[attr-defined]
    with client:
        code, said = client.connect(host, port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)
        client.ehlo_or_helo_if_needed()
        if client.scheme == "smtp":
            if not client.has_extn("starttls"):
                raise smtplib.SMTPNotSupportedError(NO_TLS)
            client.starttls(context=ssl.create_default_context())
        if message.user:
            client.login(message.user, message.password)
        client.send_message(_mail_of(message))


def _mail_of(message: MailMessage) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = message.sender
    mail["To"] = ", ".join(message.recipients)
    mail["Subject"] = message.subject
    mail["Date"] = formatdate()
    # The same at every attempt: a mailbox shows one of them.
    mail["Message-ID"] = f"<{message.id}@{message.sender.rpartition('@')[2]}>"
    mail.set_content(message.text)
    return mail


def _words(said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return clean_text(text)[:LONGEST_ANSWER]
