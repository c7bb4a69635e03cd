"""OpenRouter's video API as a dialect, and how it writes tasks and errors."""

import math
from typing import TYPE_CHECKING, Any

from app.catalog.catalog import ModelCard
from app.catalog.price import ANY_SIZE, ModelPrice
from app.dialects.base import Dialect
from app.dialects.openrouter.schemas import EXAMPLES, SCHEMAS, TAGS
from app.dialects.openrouter.strict import StrictAnswers
from app.errors import FilmgateError
from app.generation import Role
from app.ops.envelope import ErrorEnvelope
from app.providers.base import Capabilities
from app.tasks.task import Task

if TYPE_CHECKING:  # a worker imports it
    from starlette.types import ASGIApp

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
    relayed_prefix = "/api/v1/"
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES

    def own_relayed(self, endpoint: "ASGIApp") -> "ASGIApp":
        return StrictAnswers(endpoint)


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
    if task.has_ended and task.cost is not None:
        document["usage"] = {"cost": float(task.cost), "is_byok": False}
    return document


def model_object(card: ModelCard, price: ModelPrice | None) -> dict[str, Any]:
    """OpenRouter writes null for "unknown", where the upstream decides."""
    able = card.capabilities or Capabilities(kinds=frozenset())
    return {
        "id": card.name,
        "canonical_slug": card.name,
        "name": card.name,
        "created": card.created,
        "supported_durations": _whole_durations(able),
        "supported_sizes": sorted(able.sizes) or None,
        "supported_frame_images": [word for word in FRAMES if word in able.roles],
        "supported_aspect_ratios": list(able.ratios) or None,
        "supported_resolutions": list(able.tiers) or None,
        "generate_audio": None if able.sound is None else able.sound != "never",
        "seed": None,
        "creativity": None,
        "upscale_factor": None,
        "allowed_passthrough_parameters": [],
        "pricing_skus": _pricing_skus(price),
    }


def _whole_durations(able: Capabilities) -> list[int] | None:
    if able.lengths:
        return sorted({int(length) for length in able.lengths if length == int(length)})
    if able.seconds is None:
        return None
    low, high = able.seconds
    return list(range(max(1, math.ceil(low)), min(int(high), LONGEST_LISTED) + 1))


def _pricing_skus(price: ModelPrice | None) -> dict[str, str] | None:
    """US dollars by what is counted: ``per_video``, and ``duration_seconds`` or ``duration_seconds_720p``."""
    if price is None:
        return None
    rates = {
        "duration_seconds" + ("" if size == ANY_SIZE else f"_{size}"): rate
        for size, rate in price.per_second.items()
    }
    fixed = {"per_video": price.per_call} if price.per_call else {}
    return {name: f"{rate:f}" for name, rate in (fixed | rates).items()}
