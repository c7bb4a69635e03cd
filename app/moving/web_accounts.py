"""sora2api: its accounts are sessions of a service that has ended, so little of it can be carried.

Source: TheSmallHanCat/sora2api src/core/database.py, and the export of static/manage.html.
"""

import json

from app.errors import InvalidRequest
from app.moving.fields import is_stated, text_of
from app.moving.plan import LeftOut, MovedKey, MovedPart, Remark, Tables, in_order, left_out
from app.secret_rules import check_token

TABLES = ("tokens", "admin_config", "proxy_config")
KEY_NAME = "sora2api"


def plan_web_accounts(tables: Tables) -> list[MovedPart]:
    """Raises ``InvalidRequest`` when it is not what sora2api keeps."""
    if not tables.get("tokens") and not tables.get("admin_config"):
        raise InvalidRequest(
            "PLACE: it has no rows in tokens and admin_config, so it is not what sora2api keeps"
        )
    parts: list[MovedPart] = [
        left_out("account", text_of(row.get("email")) or text_of(row.get("name")), "service_ended")
        for row in tables.get("tokens", ())
    ]
    parts += [_read_key(text_of(row.get("api_key")).strip()) for row in tables.get("admin_config", ())]
    if not tables.get("admin_config"):
        parts.append(left_out("key", "api_key", "not_in_file"))
    for row in tables.get("proxy_config", ()):
        if row.get("proxy_enabled") and is_stated(row.get("proxy_url")):
            parts.append(left_out("rest", "proxy", "proxy_elsewhere"))
    parts.append(LeftOut("sora2-…, sora2pro-…, gpt-image…", (Remark("same_names"),), "rest"))
    return in_order(parts)


def tables_of_export(text: str) -> Tables:
    """Of the list that its page exports. Raises ``InvalidRequest``."""
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"PLACE: this is neither a database nor JSON: {error}") from error
    if isinstance(rows, dict):
        rows = rows.get("tokens")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidRequest("PLACE: the JSON must be a list of tokens, as the page of sora2api exports it")
    return {"tokens": rows}


def _read_key(secret: str) -> MovedPart:
    terms = {"name": KEY_NAME}
    try:
        check_token(secret, param="api_key")
    except InvalidRequest:
        return MovedKey("api_key", terms, "", (Remark("weak_secret"),))
    return MovedKey("api_key", terms, secret)
