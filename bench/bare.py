"""The yardstick: a raw ASGI endpoint that passes a request on with aiohttp's client and does nothing else."""

import sys
from typing import Any

import aiohttp
import uvicorn

DROPPED = {b"host", b"content-length", b"connection", b"transfer-encoding", b"keep-alive"}


class Bare:
    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if self.session is None:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {n.decode(): v.decode() for n, v in scope["headers"] if n not in DROPPED}
        address = self.upstream + scope["path"]
        async with self.session.request(scope["method"], address, data=body, headers=headers) as answer:
            passed = [(n, v) for n, v in answer.raw_headers if n.lower() not in DROPPED - {b"content-length"}]
            await send({"type": "http.response.start", "status": answer.status, "headers": passed})
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(
        Bare(sys.argv[1]),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        lifespan="off",
        log_level="warning",
    )
