"""The MCP server: which tools there are, and what a host is told of them before they are called."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server.mcpserver import MCPServer
from mcp.server.request_state import RequestStateSecurity
from mcp_types import ToolAnnotations

from app.mcp import tools
from app.mcp.access import CallsOf

INSTRUCTIONS = """Makes videos and pictures through a Filmgate gateway. make_video, edit_video, extend_video and make_image
cost money: call them once per wish, and tell the person the price afterwards; quote_video says it before. Choose a model with list_models. If an answer
says that a video is not finished, call get_video with wait_seconds 50 until it is; never order it again."""
READS = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
BUYS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
)
ENDS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
)


def create_server(
    calls_of: CallsOf, *, version: str = "", state: RequestStateSecurity | None = None
) -> MCPServer[CallsOf]:
    """``calls_of`` opens the API for the caller of a tool. ``state`` seals a question that another process may be told the
    answer of."""

    @asynccontextmanager
    async def lifespan(_server: MCPServer[CallsOf]) -> AsyncIterator[CallsOf]:
        yield calls_of

    server: MCPServer[CallsOf] = MCPServer(
        "filmgate",
        title="Filmgate",
        instructions=INSTRUCTIONS,
        version=version,
        log_level="WARNING",
        subscriptions=False,
        lifespan=lifespan,
        request_state_security=state,
    )
    for tool, title, hints in (
        (tools.make_video, "Make a video", BUYS),
        (tools.edit_video, "Edit a video", BUYS),
        (tools.extend_video, "Extend a video", BUYS),
        (tools.make_image, "Make a picture", BUYS),
        (tools.quote_video, "Quote a video", READS),
        (tools.get_video, "Look at a video", READS),
        (tools.list_models, "List models", READS),
        (tools.cancel_video, "Cancel a video", ENDS),
    ):
        server.add_tool(tool, title=title, annotations=hints)
    return server
