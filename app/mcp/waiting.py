"""Waits for a film while an agent's call is open, and says how far it is."""

import asyncio
import time
from typing import Any

from mcp.server.mcpserver import Context

from app.client import Video
from app.mcp.answers import COMING
from app.mcp.gateway import GatewayCalls

LONGEST_SECONDS = 50.0
"""Hosts give a call a minute."""
LOOKS_EVERY = 5
"""Slices."""
SLICE_SECONDS = 0.2
"""A gateway that stops cuts what still waits: half a second later at the earliest."""


async def wait_for_film(
    calls: GatewayCalls, video: Video, context: Context[Any, Any], *, seconds: float
) -> Video:
    """The film at its end, or as it is when the time is up or the gateway is about to stop. It is made in any case."""
    until, told = time.monotonic() + min(seconds, LONGEST_SECONDS), -1
    while video.status in COMING:
        if video.progress > told:  # it must rise from one notification to the next
            told = video.progress
            await context.report_progress(told, 100, _describe(video))
        if not await _pause(calls, until):
            break
        video = await calls.find(video.id)
    return video


async def _pause(calls: GatewayCalls, until: float) -> bool:
    """Whether there is still time after it."""
    for _ in range(LOOKS_EVERY):
        left = until - time.monotonic()
        if left <= 0 or calls.drains():
            return False
        await asyncio.sleep(min(SLICE_SECONDS, left))
    return time.monotonic() < until and not calls.drains()


def _describe(video: Video) -> str:
    if video.status == "in_progress":
        return f"{video.id}: making the video"
    reason = getattr(video, "wait_reason", None)
    return f"{video.id}: waiting for its turn{f' ({reason})' if reason else ''}"
