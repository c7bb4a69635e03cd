"""What `serve` and `worker` do as they start: take the listening socket, set up the garbage collector, begin the log."""

import gc
import os
import socket

import structlog

from app import __version__
from app.errors import SettingsInvalid
from app.setting_names import describe_unknown, unknown_settings
from app.settings import local_address

log = structlog.get_logger()
BACKLOG = 2048
UNSENT_BYTES = 32 * 1024
READY = b"ready"
"""What a serving process tells its supervisor once."""
ALIVE, ALIVE_SECONDS = b".", 1.0
"""What it says from then on, and how often: only while its event loop turns."""


def log_start(command: str, *, address: str | None = None) -> None:
    """Say in the log that ``command`` runs, which version, and where; and name variables that set nothing."""
    log.info(f"{command}.started", version=__version__, pid=os.getpid(), address=address)
    for name, meant in unknown_settings(os.environ).items():
        log.warning("settings.unknown", text=describe_unknown(name, meant))


def bind_listener(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ``SettingsInvalid`` when the address can't be bound."""
    listener = _bind_address(host, port)
    listener.setblocking(False)
    return listener


def bind_shared(host: str, port: int, count: int) -> list[socket.socket]:
    """Sockets on one address for ``count`` processes, each of which listens when it is ready.

    Raises ``SettingsInvalid`` when the address can't be bound.
    """
    with _bind_address(host, port) as alone:
        # Shared sockets would join those of another gateway of this user instead of being refused.
        address = alone.getsockname()
    listeners = [_bind_address(host, address[1], shared=True) for _ in range(count)]
    for listener in listeners:
        listener.setblocking(False)
    return listeners


def bind_sibling(listener: socket.socket) -> socket.socket:
    """Another socket on the address of one that `bind_shared` made."""
    sibling = socket.socket(listener.family, listener.type, listener.proto)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        sibling.setsockopt(socket.SOL_SOCKET, option, 1)
    _bound_unsent(sibling)
    sibling.bind(listener.getsockname())
    sibling.setblocking(False)
    return sibling


def _bound_unsent(listener: socket.socket) -> None:
    """For its connections: what the kernel takes beyond what is under way to the client. Of a slow one it would take
    megabytes of a stream, which we parse long before anybody reads them."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)


def _bind_address(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bound, and listening unless it is ``shared`` by processes."""
    try:
        candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise SettingsInvalid(
            f"FILMGATE_HOST: {host} is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for every network."
        ) from None
    family, kind, protocol, _, address = candidates[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _bound_unsent(listener)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(address)
        if not shared:
            listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsInvalid(
            f"FILMGATE_PORT: {host}:{port} can't be used ({error.strerror}). "
            "Stop the program that listens there, or choose another port with --port (0 takes a free one)."
        ) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL of the socket, as a browser on this machine opens it."""
    host, port = listener.getsockname()[:2]
    return local_address(host, port)


def freeze_startup_objects() -> None:
    """Exempts everything that start-up created from garbage collection, as it lives until the process ends. What imports
    created is exempt already, so that little is looked at here."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
