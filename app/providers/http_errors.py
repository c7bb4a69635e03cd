"""The error for a request that an upstream refused, answered badly or did not answer: whether it may have been accepted."""

import errno
import socket
from collections.abc import Mapping
from typing import Literal

from app.errors import (
    LocalConnectionsExhausted,
    NetworkDown,
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    RequestBlocked,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelForbidden,
    UpstreamModelRetired,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
    UpstreamUnreachable,
)
from app.providers.reading import LONGEST_RETRY_AFTER, ErrorDetail, retry_after_of
from app.providers.transport import NotConnected, PoolExhausted

# This machine has no file handle, port or memory left for a connection.
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
NETWORK_IS_DOWN = {errno.ENETDOWN, errno.ENETUNREACH}

BLOCKING_STATUSES = {401, 402, 403, 407}
"""Statuses that a firewall, a proxy or a portal answers too: without the vendor's own error they say nothing of the
account."""
BUSY_STATUSES = {425, 429, 503, 529}
"""529: too much for the vendor at the moment (Anthropic, MiniMax, LTX)."""
NEVER_PASSED = {521, 523, 525, 526, 530}
"""Cloudflare's own: it found no server to pass the request on to. 520 and 524 come after it did, and 522 also when a
connection stood and the server did not acknowledge the request.
https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/"""
NOT_THERE = {404, 405}
"""Without the vendor's own error: the base URL is wrong, or a proxy has lost its server."""
LONGEST_FRONT_PAUSE = 60.0
"""Seconds of a ``Retry-After`` without the vendor's own error that are obeyed."""

ErrorMeaning = Literal[
    "auth", "quota", "forbidden", "busy", "moderated", "rejected", "missing", "failed", "unknown"
]
"""What a vendor's own error code means. ``forbidden``: this account may not use the model, or the model is not there.
``missing``: no such operation or file. ``unknown``: the vendor itself does not know whether the request was carried
out."""

SUBMIT_ERRORS: Mapping[ErrorMeaning, type[UpstreamError]] = {
    "auth": UpstreamAuthFailed,
    "quota": UpstreamQuotaExhausted,
    "forbidden": UpstreamModelForbidden,
    "busy": UpstreamBusy,
    "moderated": UpstreamModerated,
    "rejected": UpstreamRejected,
    "missing": UpstreamRejected,
    "failed": UpstreamFailed,
    "unknown": OutcomeUnknown,
}


def submit_refused(status: int, headers: Mapping[str, str], detail: ErrorDetail | None) -> UpstreamError:
    """The error for an answer that is not 2xx to a request that starts work."""
    if detail is not None and detail.is_from_front:
        detail = None
    if status < 400:
        return _redirect_error(status)
    if (status in BLOCKING_STATUSES | NOT_THERE and detail is None) or status == 407:
        return _blocked_error(status, headers)
    error = detail or ErrorDetail(f"HTTP {status} without a readable error")
    text, retry_after = f"upstream answered {status}: {error.message}", retry_after_of(headers)
    if status in BUSY_STATUSES and not (status < 500 and error.out_of_money):
        # A front's page: its word holds for a moment, not for the hour that the vendor's own may say.
        longest = LONGEST_RETRY_AFTER if detail else LONGEST_FRONT_PAUSE
        return UpstreamBusy(text, retry_after=None if retry_after is None else min(retry_after, longest))
    if status in NEVER_PASSED and detail is None:
        return UpstreamBusy(text)
    if status < 500:
        return _refused_error(status, error, text, retry_after=retry_after)
    if detail is None or status in {502, 504}:
        # This answer is a gateway's, not the upstream's: the server behind it may be working already.
        return OutcomeUnknown(text)
    return UpstreamFailed(text)


def _refused_error(status: int, error: ErrorDetail, text: str, *, retry_after: float | None) -> UpstreamError:
    if status == 402 or error.out_of_money:
        return UpstreamQuotaExhausted(text, retry_after=retry_after)
    if error.is_moderated:
        return UpstreamModerated(text, param=error.param)
    if error.is_retired:
        return UpstreamModelRetired(text)
    if error.about_place or (status in {403, 404} and error.about_model):
        return UpstreamModelForbidden(text)
    if status == 400 and error.code == "model_not_found":
        return UpstreamModelForbidden(text)
    if status in {401, 403}:
        return UpstreamAuthFailed(text)
    if status == 400 and error.about_key:
        return UpstreamAuthFailed(text, vague=True)
    if status in {408, 409}:
        # A proxy's 408 may follow a request it passed on; 409 may mean "your first copy is being worked on".
        return OutcomeUnknown(text)
    return UpstreamRejected(text, param=error.param)


def poll_refused(status: int, headers: Mapping[str, str], detail: ErrorDetail | None) -> UpstreamError:
    """The error for an answer that is not 2xx to a request that only asks: none of these ends a task."""
    if detail is not None and detail.is_from_front:
        detail = None
    message = detail.message if detail else "no readable error"
    text, retry_after = f"upstream answered {status}: {message}", retry_after_of(headers)
    if detail is not None and (status in {401, 403} or (status == 400 and detail.about_key)):
        return UpstreamAuthFailed(text)
    if status in {404, 410} and detail is not None:
        return OperationNotFound(text, retry_after=retry_after)
    return PollFailed(text, retry_after=retry_after)


def submit_error(
    meaning: ErrorMeaning | None, message: str, *, status: int, headers: Mapping[str, str]
) -> UpstreamError:
    """The error for a refused request that starts work, where the vendor's code has ``meaning``. None: we don't
    know the code, so the HTTP status decides."""
    if meaning is not None:
        text = f"upstream answered {status}: {message}"
        return SUBMIT_ERRORS[meaning](text, retry_after=retry_after_of(headers))
    if status >= 400:
        return submit_refused(status, headers, ErrorDetail(message))
    return UpstreamFailed(f"upstream answered {status}: {message}")


def poll_error(
    meaning: ErrorMeaning | None, message: str, *, status: int, headers: Mapping[str, str]
) -> UpstreamError:
    """The error for a refused request that only asks, where the vendor's code has ``meaning``."""
    text, retry_after = f"upstream answered {status}: {message}", retry_after_of(headers)
    if meaning == "auth":
        return UpstreamAuthFailed(text)
    if meaning == "missing":
        return OperationNotFound(text, retry_after=retry_after)
    if meaning is None and status >= 400:
        return poll_refused(status, headers, ErrorDetail(message))
    return PollFailed(text, retry_after=retry_after)


def unnamed_task(vendor: str) -> OutcomeUnknown:
    """For a success that does not name the work it started: it may be running and cost money."""
    return OutcomeUnknown(f"{vendor} accepted the request without naming the task")


def missing_file(vendor: str, what: str = "video") -> PollFailed:
    """For finished work whose answer names no file: the next poll may have it."""
    return PollFailed(f"{vendor} says it is done, but names no {what}")


def unknown_task(vendor: str) -> OperationNotFound:
    return OperationNotFound(f"{vendor} does not know the task")


def connection_error(error: Exception, *, submits: bool) -> UpstreamError:
    """The error for a request without an answer. Its text names the kind of failure, never an address."""
    kind = _failure_name(error)
    if not submits:
        return PollFailed(f"no answer from the upstream ({kind})")
    if isinstance(error, NotConnected):
        return unreachable_error(error)
    # Once a byte is written, silence proves nothing: the upstream may have the whole request.
    return OutcomeUnknown(f"sent, but no answer came from the upstream ({kind})")


def unreachable_error(error: Exception) -> UpstreamUnreachable:
    """The error for a request that was never sent: because of the upstream, this machine, or our network."""
    kind, root = _failure_name(error), _root_cause(error)
    if isinstance(error, PoolExhausted) or (isinstance(root, OSError) and root.errno in EXHAUSTED):
        return LocalConnectionsExhausted(f"no connection could be made here ({kind})")
    unresolved = isinstance(root, socket.gaierror) and root.errno == socket.EAI_AGAIN
    if unresolved or (isinstance(root, OSError) and root.errno in NETWORK_IS_DOWN):
        return NetworkDown(f"no way leads to the upstream ({kind})")
    return UpstreamUnreachable(f"the upstream can't be reached ({kind})")


def _blocked_error(status: int, headers: Mapping[str, str]) -> UpstreamError:
    """Servers that answer 401 in one plain word, or in none, do exist; a page is never the vendor's API."""
    text = f"upstream answered {status} without a readable error: a firewall or a proxy may have refused it"
    if status == 401 and "html" not in headers.get("content-type", "").lower():
        return UpstreamAuthFailed(text, vague=True)
    return RequestBlocked(text)


def _redirect_error(status: int) -> UpstreamError:
    if status in {301, 302, 307, 308}:
        return UpstreamFailed(
            f"upstream answered {status}: it lives at another address, correct the base URL"
        )
    # A server answers 303 when it has done the work and wants its result to be fetched.
    return OutcomeUnknown(f"upstream answered {status}, which is neither a yes nor a no")


def _failure_name(error: Exception) -> str:
    """What kept a connection from being made says more than that there was none."""
    cause = error.__cause__
    return type(cause if isinstance(error, NotConnected) and cause is not None else error).__name__


def _root_cause(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
