"""Bodies of webhook events in OpenAI's thin form, and ids of this package."""

import json
import re
import secrets

from app import clock

EVENT_TYPES = ("video.completed", "video.failed")
ENDPOINT_ID = re.compile(r"we_[0-9a-f]{32}")


def new_id(prefix: str) -> str:
    """Time-ordered, so that paging by id is paging by time; 80 bits are random."""
    return f"{prefix}_{int(clock.now() * 1000):012x}{secrets.token_hex(10)}"


def event_type(kind: str, state: str) -> str:
    """The event type for the end of a task. Cancelled counts as failed, as OpenAI has no other word."""
    return f"{kind}.{'completed' if state == 'completed' else 'failed'}"


def thin_event(event: str, task_id: str, *, at: float) -> str:
    """JSON with the event type and the id of its object, nothing more. ``at`` in UTC seconds."""
    prefix = "video_" if event.startswith("video.") else "task_"
    document = {
        "id": new_id("evt"),
        "object": "event",
        "created_at": int(at),
        "type": event,
        "data": {"id": f"{prefix}{task_id}"},
    }
    return json.dumps(document)
