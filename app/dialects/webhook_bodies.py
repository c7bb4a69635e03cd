"""What a task's ``notify_hook`` is told: the GET body of the dialect that made the task.

The worker renders these, so nothing here may need a web framework or a request.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from app.dialects.account_api.answer import task_object
from app.dialects.ark.answer import ark_object
from app.dialects.http.file_links import file_link
from app.dialects.new_api.answer import new_api_object
from app.dialects.openai_videos.answer import video_object
from app.dialects.unified.answer import unified_object
from app.keys.service import ClientKey, KeyRing
from app.media.links import LinkSigner
from app.tasks.repository import TaskRepository
from app.tasks.task import StoredFile, Task
from app.webhooks.deliveries import Delivery
from app.webhooks.event_bodies import thin_event

Link = Callable[[StoredFile], str]
Renderer = Callable[[Task, Link, ClientKey | None], dict[str, Any]]


def _video_body(task: Task, link: Link, key: ClientKey | None) -> dict[str, Any]:
    url = link(task.result.files[0]) if task.result and not task.purged else None
    manual = key is not None and key.options.get("videos_dialect") == "manual"
    return video_object(task, url=url, manual=manual)


def _task_body(task: Task, link: Link, _key: ClientKey | None) -> dict[str, Any]:
    return task_object(task, _file_links(task, link))


def _unified_body(task: Task, link: Link, _key: ClientKey | None) -> dict[str, Any]:
    return unified_object(task, _file_links(task, link))


def _file_links(task: Task, link: Link) -> list[str]:
    return [link(file) for file in task.result.files] if task.result and not task.purged else []


def _ark_body(task: Task, link: Link, _key: ClientKey | None) -> dict[str, Any]:
    return ark_object(task, _file_links(task, link))


def _new_api_body(task: Task, link: Link, _key: ClientKey | None) -> dict[str, Any]:
    return new_api_object(task, _file_links(task, link))


RENDERERS: Mapping[str, Renderer] = {
    "openai_videos": _video_body,
    "features": _task_body,
    "unified": _unified_body,
    "ark": _ark_body,
    "new_api": _new_api_body,
}
"""By the name that a dialect gives its tasks (``Asked.dialect``); for any other, OpenAI's thin event."""


class WebhookBodies:
    """The deliverer's ``Bodies``."""

    def __init__(
        self,
        repository: TaskRepository,
        keys: KeyRing,
        signer: LinkSigner,
        *,
        renderers: Mapping[str, Renderer] = RENDERERS,
    ) -> None:
        self._tasks = repository
        self._keys = keys
        self._signer = signer
        self._renderers = renderers

    async def body(self, delivery: Delivery) -> str | None:
        task = await self._tasks.get(delivery.task_id) if delivery.task_id else None
        if task is None or task.deleted:
            return None
        renderer = self._renderers.get(task.dialect)
        if renderer is None:
            return thin_event(delivery.event, task.id, at=delivery.created_at)
        key = await self._keys.find_by_id(task.key_id)
        base = (delivery.base_url or "").rstrip("/")

        def link_to(file: StoredFile) -> str:
            return file_link(task, file, base=base, signer=self._signer)

        return json.dumps(renderer(task, link_to, key), ensure_ascii=False)
