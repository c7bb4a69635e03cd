"""Renders the body of a task's own webhook in the dialect that created the task."""

import json
from collections.abc import Sequence

from app.dialects.base import Dialect
from app.keys.service import KeyRing
from app.media.links import LinkSigner
from app.tasks.repository import TaskRepository
from app.tasks.task import file_link
from app.webhooks.deliveries import Delivery
from app.webhooks.event_bodies import thin_event


class WebhookBodies:
    """Implements the port of the webhook deliverer, which runs in workers."""

    def __init__(
        self,
        repository: TaskRepository,
        keys: KeyRing,
        signer: LinkSigner,
        *,
        dialects: Sequence[Dialect],
    ) -> None:
        self._tasks = repository
        self._keys = keys
        self._signer = signer
        self._dialects = {dialect.name: dialect for dialect in dialects}

    async def body(self, delivery: Delivery) -> str | None:
        task = await self._tasks.get(delivery.task_id) if delivery.task_id else None
        if task is None or task.deleted:
            return None
        dialect = self._dialects.get(task.dialect)
        if dialect is None:  # the panel's playground, or a dialect of an older version
            return thin_event(delivery.event, task.id, at=delivery.created_at)
        base = (delivery.base_url or "").rstrip("/")
        files = task.result.files if task.result and not task.purged else ()
        links = [file_link(task, file, base=base, signer=self._signer) for file in files]
        document = dialect.webhook_body(task, links=links, key=await self._keys.find_by_id(task.key_id))
        if document is None:
            return thin_event(delivery.event, task.id, at=delivery.created_at)
        return json.dumps(document, ensure_ascii=False)
