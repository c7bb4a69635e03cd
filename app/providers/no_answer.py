"""What a request without any answer means: whether it left, and whose fault it is."""

import errno
import socket

import httpx2

from app.errors import (
    LocalConnectionsExhausted,
    NetworkDown,
    OutboundRefused,
    OutcomeUnknown,
    PollFailed,
    UpstreamError,
    UpstreamUnreachable,
)

# All of these end before the first byte of the request is written: the connection was never made, never
# handed out by the pool, or the request could not be put into HTTP at all.
NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    OutboundRefused,
)

# This machine has no file, port or memory left for a connection.
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
NO_WAY_OUT = {errno.ENETDOWN, errno.ENETUNREACH}


def connection_error(error: Exception, *, submits: bool) -> UpstreamError:
    """The error for a request without an answer; names the kind of failure, never an address."""
    kind = type(error).__name__
    if not submits:
        return PollFailed(f"no answer from the upstream ({kind})")
    if isinstance(error, NEVER_SENT):
        return unreachable_error(error)
    # From the first written byte on, a silence proves nothing: the upstream may have the whole request.
    return OutcomeUnknown(f"sent, but no answer came from the upstream ({kind})")


def unreachable_error(error: Exception) -> UpstreamUnreachable:
    """The error for a request that never left: whether the reason lies there, here, or on the way out."""
    kind, root = type(error).__name__, _root_cause(error)
    if isinstance(error, httpx2.PoolTimeout) or (isinstance(root, OSError) and root.errno in EXHAUSTED):
        return LocalConnectionsExhausted(f"no connection could be made here ({kind})")
    unresolved = isinstance(root, socket.gaierror) and root.errno == socket.EAI_AGAIN
    if unresolved or (isinstance(root, OSError) and root.errno in NO_WAY_OUT):
        return NetworkDown(f"no way leads to the upstream ({kind})")
    return UpstreamUnreachable(f"the upstream can't be reached ({kind})")


def _root_cause(error: BaseException) -> BaseException:
    """What it all began with."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
