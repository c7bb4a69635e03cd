"""One idempotency key per tool call, so that a call that is sent twice buys one film."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONG_ID = 16
"""Clients that give their requests ids of so many characters do not count them."""


@dataclass(frozen=True)
class Conversation:
    """``name`` is the session of a client, which numbers its calls from one; empty where the client has none."""

    name: str = ""

    def key_of(self, request_id: str, tool: str, arguments: Mapping[str, Any]) -> str:
        """The same for the same call. Where two conversations can't be told apart, every call counts as a wish of its own:
        their third calls may be alike, and each wants a film."""
        wish = arguments.get("idempotency_key")
        if wish:
            return _digest("wish", tool, wish)
        if not self.name and len(request_id) < LONG_ID:
            return f"mcp-{uuid.uuid4().hex}"
        return _digest("call", self.name, request_id, tool, arguments)


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return f"mcp-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
