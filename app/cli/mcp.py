"""`filmgate mcp`: the tools for agents on stdin and stdout, as hosts start them."""

import importlib
from typing import Annotated

import typer

from app import __version__
from app.cli.gateway_client import DEFAULT_ADDRESS, ApiKey, BaseUrl
from app.errors import InvalidRequest
from app.secret_rules import is_blank


def serve_tools(
    base_url: BaseUrl = DEFAULT_ADDRESS,
    api_key: ApiKey = "",
    confirm_above: Annotated[
        float | None, typer.Option(min=0, help="US dollars above which the person is asked before a film.")
    ] = None,
) -> None:
    """Serve the tools for agents (MCP) on stdin and stdout. A host like Claude Desktop, Cursor or VS Code starts it."""
    if is_blank(api_key):
        raise InvalidRequest(
            "--api-key: name the key to use, here or in FILMGATE_API_KEY. `filmgate keys create NAME` creates one."
        )
    try:
        stdio = importlib.import_module("app.mcp.stdio")
    except ModuleNotFoundError as error:
        raise InvalidRequest(f"`filmgate mcp` needs {error.name}: pip install 'filmgate[mcp]'") from None
    stdio.run(base_url=base_url, key=api_key, version=__version__, confirm_above=confirm_above)
    raise typer.Exit
