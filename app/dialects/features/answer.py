"""The feature endpoints as a dialect. Tasks are answered in chat form, or as the account API writes them."""

from typing import Any

from app.dialects.account_api.answer import STATUS_WORDS, task_object
from app.dialects.base import Dialect
from app.dialects.features.schemas import EXAMPLES, SCHEMAS, TAGS
from app.keys.key import ClientKey
from app.tasks.task import Task


class FeaturesDialect(Dialect):
    """The feature-endpoints manual."""

    name = "features"
    status_words = STATUS_WORDS
    polled_often = True  # and its ``/v1/videos/…`` must come before routes that take any name there
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES

    def webhook_body(self, task: Task, *, links: list[str], key: ClientKey | None) -> dict[str, Any]:
        return task_object(task, links)
