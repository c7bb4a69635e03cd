"""How a tool reaches the gateway: the calls of its caller, with the gateway's errors as errors of the tool."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from mcp.server.mcpserver import Context

from app.client import APIError
from app.mcp.answers import raise_refusal
from app.mcp.gateway import GatewayCalls

CallsOf: TypeAlias = Callable[["Here"], GatewayCalls]
Here: TypeAlias = Context[CallsOf, Any]
"""The server's lifespan yields what opens the API for the caller of a tool."""


@asynccontextmanager
async def open_calls(context: Here) -> AsyncIterator[GatewayCalls]:
    """Raises ``ToolError`` for every error of the gateway inside the block."""
    try:
        async with context.request_context.lifespan_context(context) as calls:
            yield calls
    except APIError as error:
        raise_refusal(error)
