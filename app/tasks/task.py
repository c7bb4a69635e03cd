"""A task as read from its row, the result of a finished one, and the rows of its timeline."""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.tables import timeline
from app.errors import InvalidRequest
from app.generation import GenerationRequest, MediaInput, MediaKind
from app.media.links import DeliveredLink, LinkSigner, pick_link
from app.providers.base import Operation
from app.tasks.states import TERMINAL, State

HEX_ID = re.compile(r"[0-9a-f]{32}")


class StoredFile(BaseModel):
    """One file in our store. Lengths in seconds, sizes in pixels and bytes."""

    model_config = ConfigDict(frozen=True)

    name: str
    key: str
    content_type: str
    bytes: int
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    fps: float | None = None


class TaskResult(BaseModel):
    """The files of a finished task, and the pictures made from them."""

    model_config = ConfigDict(frozen=True)

    files: tuple[StoredFile, ...]
    thumbnail: StoredFile | None = None
    spritesheet: StoredFile | None = None
    vendor_url: str | None = None
    delivered: tuple[DeliveredLink, ...] = ()
    """Links made by the stages of delivery, in their order."""
    usage: dict[str, Any] = Field(default_factory=dict)

    def all_files(self) -> tuple[StoredFile, ...]:
        return (*self.files, *(item for item in (self.thumbnail, self.spritesheet) if item))


@dataclass(frozen=True)
class Task:
    """Times are UTC seconds, ``progress`` is 0 to 100 and never goes backwards."""

    id: str
    owner: str
    key_id: str
    dialect: str
    kind: MediaKind
    model: str
    state: State
    epoch: int
    generating: bool
    progress: float
    account_id: str | None
    attempts: int
    cancel_requested: bool
    deleted: bool
    purged: bool
    error_code: str | None
    error_message: str | None
    fingerprint: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    deadline_at: float
    upstream_model: str | None
    """The upstream's name for the model, chosen with the account."""
    cost: Decimal | None
    """In US dollars, as settled."""
    expires_at: float | None
    request_text: str
    operation_text: str | None
    result_text: str | None
    excluded_text: str

    @cached_property
    def request(self) -> GenerationRequest:
        return GenerationRequest.model_validate_json(self.request_text)

    @cached_property
    def operation(self) -> Operation | None:
        return Operation.model_validate_json(self.operation_text) if self.operation_text else None

    @cached_property
    def result(self) -> TaskResult | None:
        return TaskResult.model_validate_json(self.result_text) if self.result_text else None

    @property
    def has_ended(self) -> bool:
        return self.state in TERMINAL

    @property
    def public_state(self) -> str:
        """The state for dialects: ``running`` is ``accepted`` until the upstream has begun."""
        return "accepted" if self.state == "running" and not self.generating else self.state

    @property
    def shown_progress(self) -> float:
        if self.state == "completed":
            return 100.0
        return 99.0 if self.state == "storing" else min(self.progress, 99.0)


def files_are_kept(task: Task) -> bool:
    """Whether the files of a finished task exist and have not expired."""
    return task.result is not None and not task.purged and (task.expires_at or 0) > time.time()


def own_video_input(source: Task, *, param: str) -> MediaInput:
    """A task's video as the input of another task. Raises ``InvalidRequest`` if there is none, or if the task is private:
    private videos may not be remixed."""
    if source.request.private:
        raise InvalidRequest("The source video is private, so nothing can be made from it.", param=param)
    if source.kind != "video":
        raise InvalidRequest("The source is no video.", param=param)
    if source.result is None or not files_are_kept(source):
        raise InvalidRequest("The source video must be completed and not expired.", param=param)
    file = source.result.files[0]
    return MediaInput(role="source_video", content_type=file.content_type, key=file.key, sha256=source.id)


def file_link(task: Task, file: StoredFile, *, base: str, signer: LinkSigner) -> str:
    """The link from a delivery step, else our signed link, which needs no key while the signature is valid and the file is
    kept. Links of a private task are not signed and need the key."""
    path, now = f"/files/{task.id}/{file.name}", time.time()
    if task.request.private:
        return f"{base}{path}"
    delivered = pick_link(task.result.delivered, file.name, now=now) if task.result else None
    return delivered or f"{base}{signer.sign(path, now=now)}"


def parse_task_id(name: str, *, prefixes: Iterable[str]) -> str | None:
    """The 32 hex digits of a task id that begins with any of ``prefixes`` or is a UUID; None for anything else."""
    for prefix in prefixes:
        name = name.removeprefix(prefix)
    digits = name.replace("-", "").lower()
    return digits if HEX_ID.fullmatch(digits) else None


async def add_timeline_row(
    connection: AsyncConnection, task_id: str, *, epoch: int, event: str, detail: dict[str, Any]
) -> None:
    """Insert one timeline row in the caller's transaction."""
    row = {
        "task_id": task_id,
        "at": time.time(),
        "epoch": epoch,
        "event": event,
        "detail": json.dumps(detail),
    }
    await connection.execute(sa.insert(timeline), row)
