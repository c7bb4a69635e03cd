"""What `serve` and `worker` do as they start: take the listening socket, set up the garbage collector."""

import gc
import socket

from app.errors import SettingsInvalid
from app.settings import local_address

BACKLOG = 2048


def bind_listener(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ``SettingsInvalid`` when the address can't be bound."""
    try:
        candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise SettingsInvalid(
            f"FILMGATE_HOST: {host} is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for every network."
        ) from None
    family, kind, protocol, _, address = candidates[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsInvalid(
            f"FILMGATE_PORT: {host}:{port} can't be used ({error.strerror}). "
            "Stop the program that listens there, or choose another port with --port (0 takes a free one)."
        ) from None
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL of the socket, as a browser on this machine opens it."""
    host, port = listener.getsockname()[:2]
    return local_address(host, port)


def freeze_startup_objects() -> None:
    """Exempts everything that start-up created from garbage collection, as it lives until the process ends."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
