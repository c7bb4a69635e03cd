"""The error for a request that an upstream refused, answered badly or did not answer: whether it may have been accepted."""

import errno
import socket
from collections.abc import Mapping
from typing import Literal

import httpx2

from app.errors import (
    LocalConnectionsExhausted,
    NetworkDown,
    OperationNotFound,
    OutboundRefused,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelForbidden,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
    UpstreamUnreachable,
)
from app.providers.reading import ErrorDetail, retry_after_of

# Raised before the first byte of the request is written: no connection was made, the pool had none free, or the
# request can't be expressed in HTTP.
NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    OutboundRefused,
)

# This machine has no file handle, port or memory left for a connection.
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
NETWORK_IS_DOWN = {errno.ENETDOWN, errno.ENETUNREACH}

ErrorMeaning = Literal["auth", "quota", "busy", "moderated", "rejected", "missing", "failed", "unknown"]
"""What a vendor's own error code means. ``missing``: no such operation, model or file. ``unknown``: the vendor itself
does not know whether the request was carried out."""

SUBMIT_ERRORS: Mapping[ErrorMeaning, type[UpstreamError]] = {
    "auth": UpstreamAuthFailed,
    "quota": UpstreamQuotaExhausted,
    "busy": UpstreamBusy,
    "moderated": UpstreamModerated,
    "rejected": UpstreamRejected,
    "missing": UpstreamRejected,
    "failed": UpstreamFailed,
    "unknown": OutcomeUnknown,
}


def submit_refused(status: int, headers: Mapping[str, str], detail: ErrorDetail | None) -> UpstreamError:
    """The error for an answer that is not 2xx to a request that starts work."""
    error = detail or ErrorDetail(f"HTTP {status} without a readable error")
    text, retry_after = f"upstream answered {status}: {error.message}", retry_after_of(headers)
    if status < 400:
        return _redirect_error(status)
    if status < 500 and (status == 402 or error.out_of_money):
        return UpstreamQuotaExhausted(text, retry_after=retry_after)
    if status in {425, 429, 503}:
        return UpstreamBusy(text, retry_after=retry_after)
    if status < 500 and error.is_moderated:
        return UpstreamModerated(text, param=error.param)
    if (status in {403, 404} and error.about_model) or (status == 400 and error.code == "model_not_found"):
        return UpstreamModelForbidden(text)
    if status in {401, 403}:
        return UpstreamAuthFailed(text)
    if status in {408, 409}:
        # A proxy's 408 may follow a request it passed on; 409 may mean "your first copy is being worked on".
        return OutcomeUnknown(text)
    if status < 500:
        return UpstreamRejected(text, param=error.param)
    if detail is None or status in {502, 504}:
        # This answer is a gateway's, not the upstream's: the server behind it may be working already.
        return OutcomeUnknown(text)
    return UpstreamFailed(text)


def poll_refused(status: int, headers: Mapping[str, str], detail: ErrorDetail | None) -> UpstreamError:
    """The error for an answer that is not 2xx to a request that only asks: none of these ends a task."""
    message = detail.message if detail else "no readable error"
    text, retry_after = f"upstream answered {status}: {message}", retry_after_of(headers)
    if status in {401, 403}:
        return UpstreamAuthFailed(text)
    if status in {404, 410}:
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
    kind = type(error).__name__
    if not submits:
        return PollFailed(f"no answer from the upstream ({kind})")
    if isinstance(error, NEVER_SENT):
        return unreachable_error(error)
    # Once a byte is written, silence proves nothing: the upstream may have the whole request.
    return OutcomeUnknown(f"sent, but no answer came from the upstream ({kind})")


def unreachable_error(error: Exception) -> UpstreamUnreachable:
    """The error for a request that was never sent: because of the upstream, this machine, or our network."""
    kind, root = type(error).__name__, _root_cause(error)
    if isinstance(error, httpx2.PoolTimeout) or (isinstance(root, OSError) and root.errno in EXHAUSTED):
        return LocalConnectionsExhausted(f"no connection could be made here ({kind})")
    unresolved = isinstance(root, socket.gaierror) and root.errno == socket.EAI_AGAIN
    if unresolved or (isinstance(root, OSError) and root.errno in NETWORK_IS_DOWN):
        return NetworkDown(f"no way leads to the upstream ({kind})")
    return UpstreamUnreachable(f"the upstream can't be reached ({kind})")


def _redirect_error(status: int) -> UpstreamError:
    if status in {301, 302, 307, 308}:
        return UpstreamFailed(
            f"upstream answered {status}: it lives at another address, correct the base URL"
        )
    # A server answers 303 when it has done the work and wants its result to be fetched.
    return OutcomeUnknown(f"upstream answered {status}, which is neither a yes nor a no")


def _root_cause(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
