"""The server on stdin and stdout: one conversation with one host, and its tools call a gateway over HTTP."""

import asyncio
import uuid
from typing import Any

from mcp.server.mcpserver import Context

from app.mcp.call_keys import Conversation
from app.mcp.gateway import GatewayCalls
from app.mcp.server import create_server


def run(*, base_url: str, key: str, version: str, confirm_above: float | None) -> None:
    conversation = Conversation(uuid.uuid4().hex)

    def calls_of(_context: Context[Any, Any]) -> GatewayCalls:
        return GatewayCalls(
            key=key, base_url=base_url, conversation=conversation, confirm_above=confirm_above
        )

    asyncio.run(create_server(calls_of, version=version).run_stdio_async())
