"""HTTP/1.1 by hand, because a fake upstream must be able to break it."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httptools

Chunks = AsyncIterator[bytes]


@dataclass
class Request:
    method: str = ""
    target: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def key(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    def form(self) -> tuple[dict[str, Any], dict[str, list[str]]]:
        """Fields and files of a JSON body or a multipart form."""
        kind, _, parameters = self.headers.get("content-type", "").partition(";")
        if kind == "multipart/form-data":
            return _multipart(bytes(self.body), parameters.split("boundary=")[-1].strip('"'))
        body = json.loads(self.body or b"{}")
        return (body if isinstance(body, dict) else {"": body}), {}


@dataclass
class Reply:
    status: int = 200
    body: bytes | Chunks = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, body: Any, status: int = 200, **headers: str) -> "Reply":
        return cls(status, json.dumps(body).encode(), {"content-type": "application/json", **headers})

    def head(self) -> bytes:
        length = (
            f"content-length: {len(self.body)}"
            if isinstance(self.body, bytes)
            else "transfer-encoding: chunked"
        )
        lines = [f"HTTP/1.1 {self.status} X", length, *(f"{k}: {v}" for k, v in self.headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Connection(asyncio.Protocol):
    """One client connection; requests on it are answered one after the other."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.gone = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._answers: set[asyncio.Task[None]] = set()
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.api.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self._room.set()
        self.api.connections.discard(self)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self.request = Request()

    def on_url(self, url: bytes) -> None:
        self.request.target += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.request.headers[name.decode().lower()] = value.decode("utf-8", "replace")

    def on_headers_complete(self) -> None:
        self.request.method = self._parser.get_method().decode()
        if self.request.headers.get("expect"):
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self.request.body += body

    def on_message_complete(self) -> None:
        task = asyncio.get_running_loop().create_task(self.api.answer(self.request, self))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def write(self, data: bytes) -> None:
        await self._room.wait()
        if not self.gone.is_set():
            self.transport.write(data)

    async def send(self, reply: Reply) -> None:
        if isinstance(reply.body, bytes):
            await self.write(reply.head() + reply.body)
            return
        await self.write(reply.head())
        async for chunk in reply.body:
            if self.gone.is_set():
                return
            await self.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await self.write(b"0\r\n\r\n")

    def reset(self) -> None:
        """RST: what is on its way is thrown away at the other end too."""
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def close(self) -> None:
        self.transport.close()
        for task in self._answers:
            task.cancel()


def _multipart(body: bytes, boundary: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    fields: dict[str, Any] = {}
    files: dict[str, list[str]] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        name = head.decode().split('name="', 1)[1].split('"', 1)[0]
        kind = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("content-type:")), "")
        if "filename=" in head.decode():
            files.setdefault(name, []).append(f"{kind};{len(content)}")
        else:
            fields[name] = content.decode()
    return fields, files
