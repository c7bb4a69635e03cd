"""Makes pictures for an agent: in one call of the API, which answers when they are made."""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Any

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, ImageContent

from app.mcp.answers import Picture, Pictures, picture_block, written
from app.mcp.gateway import LARGEST_PICTURE, GatewayCalls

SIGN_SECONDS = 5.0
STARTS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


async def pictures_result(
    calls: GatewayCalls, context: Context[Any, Any], fields: Mapping[str, Any], *, key: str
) -> CallToolResult:
    answer = await _with_signs_of_life(context, calls.make_image(fields, key))
    found = answer.get("data") or []
    blocks = [block for each in found if (block := _block(each.get("b64_json")))]
    pictures = Pictures(model=fields["model"], images=[Picture(url=each.get("url")) for each in found])
    return written(pictures, blocks)


async def _with_signs_of_life(context: Context[Any, Any], making: Any) -> dict[str, Any]:
    """How far a picture is, nobody tells. A host that waits for signs of life gets them."""
    work, signs = asyncio.ensure_future(making), 0
    try:
        while not (await asyncio.wait({work}, timeout=SIGN_SECONDS))[0]:
            signs += 1
            await context.report_progress(signs, None, "making the picture")
        answer: dict[str, Any] = work.result()
        return answer
    finally:
        work.cancel()


def _block(encoded: str | None) -> ImageContent | None:
    if not encoded:
        return None
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    kind = next((kind for start, kind in STARTS.items() if content.startswith(start)), None)
    return picture_block(content, kind) if kind and len(content) <= LARGEST_PICTURE else None
