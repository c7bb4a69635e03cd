"""A proxy that loses answers."""

import socket
import threading
from contextlib import suppress


class CuttingProxy:
    """Passes bytes on to a port, but reads the first ``cuts`` answers to their end and hangs up on the client."""

    def __init__(self, port: int, *, cuts: int) -> None:
        self._port, self._cuts = port, cuts
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                cut, self._cuts = self._cuts > 0, self._cuts - 1
                threading.Thread(target=self._serve, args=(client, cut), daemon=True).start()

    def _serve(self, client: socket.socket, cut: bool) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as upstream:
            up = threading.Thread(target=_pump, args=(client, upstream))
            up.start()
            if cut:
                _read_answer(upstream)
            else:
                _pump(upstream, client)
            for side in (client, upstream):
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
            up.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)


def _read_answer(upstream: socket.socket) -> None:
    answer = b""
    while b"\r\n\r\n" not in answer or b'"id"' not in answer:
        answer += upstream.recv(65536)
