"""What receivers are told: OpenAI's thin events, and the ids of this package."""

import json
import re
import secrets
import time

EVENT_TYPES = ("video.completed", "video.failed")
ENDPOINT_ID = re.compile(r"we_[0-9a-f]{32}")
DELIVERY_ID = re.compile(r"wh_[0-9a-f]{32}")


def new_id(prefix: str) -> str:
    """Time-ordered, so that paging by id is paging by time; 80 bits can't be guessed."""
    return f"{prefix}_{int(time.time() * 1000):012x}{secrets.token_hex(10)}"


def event_type(kind: str, state: str) -> str:
    """What the end of a task is called; a cancelled one has failed, as in OpenAI's vocabulary."""
    return f"{kind}.{'completed' if state == 'completed' else 'failed'}"


def thin_event(event: str, task_id: str, *, at: float) -> str:
    """JSON that says what happened to which id; whoever wants to know more asks for it. ``at`` in UTC seconds."""
    prefix = "video_" if event.startswith("video.") else "task_"
    document = {
        "id": new_id("evt"),
        "object": "event",
        "created_at": int(at),
        "type": event,
        "data": {"id": f"{prefix}{task_id}"},
    }
    return json.dumps(document)
