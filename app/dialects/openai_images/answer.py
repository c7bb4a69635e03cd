"""OpenAI's images API as a dialect, and the usage in its answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.dialects.base import Dialect
from app.dialects.openai_images.schemas import EXAMPLES, SCHEMAS, TAGS
from app.tasks.task import Task


class OpenAIImagesDialect(Dialect):
    """https://platform.openai.com/docs/api-reference/images. It writes no task ids of its own but accepts ``img_``."""

    name = "openai_images"
    id_prefix = "img_"
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES


def look_fields(task: Task, looks: Mapping[str, str]) -> dict[str, str]:
    """What OpenAI's answers say of an image: its size and format as it is, the rest as it was asked for."""
    file = task.result.files[0] if task.result and task.result.files else None
    measured = f"{file.width}x{file.height}" if file and file.width and file.height else ""
    return {
        "size": measured or task.request.size or "auto",
        "quality": looks.get("quality") or "auto",
        "background": looks.get("background") or "auto",
        "output_format": file.content_type.rpartition("/")[2] if file else "png",
    }


def usage_object(tasks: Sequence[Task]) -> dict[str, Any]:
    """In tokens if the upstream reports them, else zeros, because clients expect the field."""
    usages = [task.result.usage for task in tasks if task.result]

    def token_sum(name: str) -> int:
        return sum(value for usage in usages if isinstance(value := usage.get(name), int))

    read, written = token_sum("input_tokens"), token_sum("output_tokens")
    return {
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written,
        "input_tokens_details": {"text_tokens": read, "image_tokens": 0},
    }
