"""OpenRouter's video API as a dialect, and how it writes tasks and errors."""

import math
from typing import Any

from app.catalog.catalog import ModelCard
from app.dialects.base import Dialect
from app.dialects.openrouter.schemas import EXAMPLES, SCHEMAS, TAGS
from app.errors import FilmgateError
from app.generation import Role
from app.ops.envelope import ErrorEnvelope
from app.tasks.task import Task

PATH = "/api/v1/videos"
ID_PREFIX = "gen-vid-"
LONGEST_LISTED = 60
"""The longest duration in ``supported_durations``, in seconds."""
FRAMES: dict[str, Role] = {"first_frame": "first_frame", "last_frame": "last_frame"}
"""Roles that clients name in ``frame_type``."""
STATUS_WORDS = {
    "queued": "pending",
    "submitting": "pending",
    "accepted": "pending",
    "running": "in_progress",
    "storing": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}


class OpenRouterEnvelope(ErrorEnvelope):
    """OpenRouter's error codes are numbers, so type, param and code are sent as metadata."""

    def error_body(self, error: FilmgateError, *, request_id: str = "") -> dict[str, Any]:
        metadata = {"type": error.type, "param": error.param, "code": error.code}
        return {"error": {"code": error.status, "message": error.message, "metadata": metadata}}


class OpenRouterDialect(Dialect):
    """https://openrouter.ai/docs. A task's webhook gets OpenAI's event, as OpenRouter documents no body."""

    name = "openrouter"
    id_prefix = ID_PREFIX
    status_words = STATUS_WORDS
    error_envelope = OpenRouterEnvelope()
    error_schema = "OpenRouterError"
    error_prefixes = ("/api/v1/",)
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES


def openrouter_id(task_id: str) -> str:
    return f"{ID_PREFIX}{task_id}"


def openrouter_object(task: Task, urls: list[str], *, base: str) -> dict[str, Any]:
    """``urls`` lead to the kept files of a completed task. No field is null, because the SDKs reject null."""
    document: dict[str, Any] = {
        "id": openrouter_id(task.id),
        "polling_url": f"{base}{PATH}/{openrouter_id(task.id)}",
        "status": STATUS_WORDS[task.public_state],
    }
    if task.state in ("failed", "cancelled"):
        document["error"] = task.error_message or "The generation failed."
    if task.state == "completed":
        document["generation_id"] = openrouter_id(task.id)
    if urls:
        # Clients fetch both without an Authorization header; signed links need none.
        document |= {"unsigned_urls": urls, "urls": urls, "expires_at": int(task.expires_at or 0)}
    if task.cost is not None:
        document["usage"] = {"cost": float(task.cost), "is_byok": False}
    return document


def model_object(card: ModelCard) -> dict[str, Any]:
    """OpenRouter writes null for "unknown", where the upstream decides."""
    capabilities = card.capabilities
    seconds = capabilities.seconds if capabilities else None
    return {
        "id": card.name,
        "canonical_slug": card.name,
        "name": card.name,
        "created": card.created,
        "supported_durations": _whole_durations(*seconds) if seconds else None,
        "supported_sizes": sorted(capabilities.sizes) if capabilities and capabilities.sizes else None,
        "supported_frame_images": [word for word in FRAMES if capabilities and word in capabilities.roles],
        "supported_aspect_ratios": None,
        "supported_resolutions": None,
        "generate_audio": None,
        "seed": None,
        "creativity": None,
        "upscale_factor": None,
        "allowed_passthrough_parameters": [],
    }


def _whole_durations(low: float, high: float) -> list[int]:
    return list(range(max(1, math.ceil(low)), min(int(high), LONGEST_LISTED) + 1))
