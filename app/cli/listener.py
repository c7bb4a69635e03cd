"""The socket that a gateway listens on, taken before anything is opened."""

import socket

from app.errors import SettingsInvalid
from app.settings import local_address

BACKLOG = 2048


def bind_listener(host: str, port: int) -> socket.socket:
    """Raises ``SettingsInvalid`` when the address is not ours to take."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise SettingsInvalid(
            f"FILMGATE_HOST: {host} is no address of this machine. Use 127.0.0.1, or 0.0.0.0 for every network."
        ) from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsInvalid(
            f"FILMGATE_PORT: {host}:{port} can't be used ({error.strerror}). "
            "Stop what listens there, or choose another with --port (0 takes a free one)."
        ) from None
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return local_address(host, port)
