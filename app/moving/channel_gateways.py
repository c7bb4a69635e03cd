"""new-api and one-api: their tables, from a database or an export, as a plan."""

import json
from typing import Any

from app.errors import InvalidRequest
from app.moving.channels import models_by_group, read_channels
from app.moving.plan import MovedPart, Peer, Tables, in_order
from app.moving.ratios import read_ratios
from app.moving.tokens import TokenRules, options_of, quota_of_dollar, read_tokens

TABLES = ("channels", "tokens", "users", "options")


def plan_channel_gateway(tables: Tables, peer: Peer, *, slots: int) -> list[MovedPart]:
    """Raises ``InvalidRequest`` when there is neither a channel nor a token."""
    channels = sorted(tables.get("channels", ()), key=lambda row: str(row.get("id")).zfill(20))
    tokens = sorted(tables.get("tokens", ()), key=lambda row: str(row.get("id")).zfill(20))
    if not channels and not tokens:
        raise InvalidRequest(f"PLACE: it has no rows in channels and tokens, so it is not what {peer} keeps")
    options = options_of(tables.get("options", ()))
    parts = read_channels(channels, peer, slots=slots)
    rules = TokenRules(quota_of_dollar(options), models_by_group(channels))
    parts += read_tokens(tokens, tables.get("users", ()), rules)
    parts += read_ratios(channels, options, peer)
    return in_order(parts)


def tables_of_export(text: str) -> Tables:
    """Of a saved answer of the channels' or tokens' list, a bare list of rows, or an object of lists by table.

    Raises ``InvalidRequest``.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"PLACE: this is neither a database nor JSON: {error}") from error
    if isinstance(document, dict) and any(name in document for name in TABLES):
        return {name: _rows_of(document.get(name, [])) for name in TABLES}
    rows = _rows_of(document)
    name = "tokens" if any("remain_quota" in row for row in rows) else "channels"
    return {name: rows}


def _rows_of(document: Any) -> list[dict[str, Any]]:
    """Their API wraps a page of rows in ``data`` and ``items``."""
    for wrapper in ("data", "items"):
        if isinstance(document, dict):
            document = document.get(wrapper, document)
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise InvalidRequest("PLACE: the JSON must be a list of channels or tokens, as their API returns it")
    return document
