"""A task as read from its row, the result of a finished one, and the rows of its timeline."""

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app import clock
from app.catalog.fitting import Fitting
from app.db.connection import AsyncConnection
from app.db.tables import timeline
from app.errors import InvalidRequest
from app.foreign import LINK_LIMIT, clean_document, writable_text
from app.generation import GenerationRequest, MediaInput, MediaKind
from app.media.inspection import COMPATIBLE, PLAYLIST, SEGMENTS, SPRITESHEET, STORYBOARD, THUMBNAIL, kind_of
from app.media.links import DeliveredLink, LinkSigner, pick_link
from app.providers.base import Operation
from app.tasks.states import JOINED, SEGMENT_OWNER, TERMINAL, MoneyState, State

INSERT_ROW = sa.insert(timeline).inline()
HEX_ID = re.compile(r"[0-9a-f]{32}")
DETAIL_CHARACTERS = 2000
"""Of one text in a timeline row."""


def _short_link(link: str | None) -> str | None:
    """None for a link that is too long to be one: it may be a whole file."""
    return writable_text(link) if link and len(link) <= LINK_LIMIT else None


def _clean_usage(usage: dict[str, Any]) -> dict[str, Any]:
    return dict(clean_document(usage, depth=4, text=DETAIL_CHARACTERS))


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
    made_seconds: float | None = None
    """How long the vendor's film is, where ours was trimmed."""
    codec: str | None = None
    sound: bool | None = None
    compatible: bool | None = None
    """Whether every player plays it. These three are None for what was not measured, and for films of older versions."""
    sha256: str | None = None
    """Of the stored bytes, in hex; None for films of older versions."""
    labels: tuple[str, ...] = ()
    """The layers of labels that we added: implicit, visible, c2pa."""
    vendor_marks: tuple[str, ...] = ()
    """The marks that a labelled file came with: aigc, c2pa."""


DerivedWork = Literal["pictures", "compatible", "stream"]
"""What makes derived files; each makes all of its files at once."""


@dataclass(frozen=True, slots=True)
class DerivedFile:
    """What is made of a film, beside it in our store. It is there once somebody has asked for it (``derived_files.py``)."""

    name: str
    key: str
    content_type: str
    work: DerivedWork


DERIVED_FORMS: tuple[tuple[str, str, DerivedWork, tuple[str, ...]], ...] = (
    (THUMBNAIL, "image/webp", "pictures", ("video", "image")),
    (SPRITESHEET, "image/jpeg", "pictures", ("video",)),
    (STORYBOARD, "text/vtt", "pictures", ("video",)),
    (COMPATIBLE, "video/mp4", "compatible", ("video",)),
    (PLAYLIST, "application/vnd.apple.mpegurl", "stream", ("video",)),
    (SEGMENTS, "video/mp4", "stream", ("video",)),
)
"""Name, content type, what makes it, and of which kinds of file."""


class TaskResult(BaseModel):
    """The files of a finished task, and what can be made of the first one."""

    model_config = ConfigDict(frozen=True)

    files: tuple[StoredFile, ...]
    vendor_url: Annotated[str | None, AfterValidator(_short_link)] = None
    delivered: tuple[DeliveredLink, ...] = ()
    """Links made by the stages of delivery, in their order."""
    usage: Annotated[dict[str, Any], AfterValidator(_clean_usage)] = Field(default_factory=dict)

    @property
    def thumbnail(self) -> DerivedFile | None:
        return self._derived.get(THUMBNAIL)

    @property
    def spritesheet(self) -> DerivedFile | None:
        return self._derived.get(SPRITESHEET)

    @property
    def compatible(self) -> StoredFile | DerivedFile | None:
        """The film as every player plays it: itself, where it is of that form."""
        film = self.files[0]
        return film if film.compatible else self._derived.get(COMPATIBLE)

    @property
    def playlist(self) -> DerivedFile | None:
        return self._derived.get(PLAYLIST)

    @property
    def storyboard(self) -> DerivedFile | None:
        return self._derived.get(STORYBOARD)

    def made_by(self, work: DerivedWork) -> tuple[DerivedFile, ...]:
        """The files in our store; a storyboard is a text over the sprite sheet, and is in none."""
        return tuple(file for file in self._derived.values() if file.work == work and file.name != STORYBOARD)

    def find_file(self, name: str) -> StoredFile | DerivedFile | None:
        return next((file for file in self.files if file.name == name), self._derived.get(name))

    @property
    def _derived(self) -> dict[str, DerivedFile]:
        """Nothing of what could not be measured: it can't be decoded here."""
        film = self.files[0]
        if film.width is None:
            return {}
        folder, kind = film.key.rpartition("/")[0], kind_of(film.content_type)
        return {
            name: DerivedFile(name, f"{folder}/{name}", content_type, work)
            for name, content_type, work, kinds in DERIVED_FORMS
            if kind in kinds
        }


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
    money: MoneyState | None
    """What became of the reservation, once it has ended; None also where nothing was reserved."""
    made_at: float | None
    """When the upstream first said that it is done."""
    expires_at: float | None
    request_id: str | None
    """Of the client's request, as the log has it; None for tasks of older versions."""
    prompt_removed: bool | None
    """False: its prompt and its inputs are to be removed once it has ended; None: they are kept."""
    request_text: str
    operation_text: str | None
    result_text: str | None
    excluded_text: str
    only_account: str | None
    """The account that the operator chose for it: no other one may make it."""
    fitted_text: str | None
    attempt: int = 1
    """Counts the vendors' work for it: another one begins after a vendor's own word that it failed."""
    traceparent: str | None = None
    """The span of the client's request, or the client's own where nothing is exported."""
    not_before: float = 0.0
    """It gets no account sooner, in UTC seconds."""
    priority: int = 0
    place: float = 0.0
    """In the line of its key: see ``queueing.py``."""

    @cached_property
    def request(self) -> GenerationRequest:
        return GenerationRequest.model_validate_json(self.request_text)

    @cached_property
    def operation(self) -> Operation | None:
        return Operation.model_validate_json(self.operation_text) if self.operation_text else None

    @cached_property
    def result(self) -> TaskResult | None:
        return TaskResult.model_validate_json(self.result_text) if self.result_text else None

    @cached_property
    def fitting(self) -> Fitting | None:
        """How what its account was asked for differs from what the client asked; None also while it has no account."""
        return Fitting.model_validate_json(self.fitted_text) if self.fitted_text else None

    @property
    def told_changes(self) -> dict[str, Any] | None:
        """For clients: what was asked and what is made instead, by field; None where all is as asked."""
        found = self.fitting or Fitting(asked={}, made={})
        if self.request.shots_asked is not None:
            made = sum(shot.seconds for shot in self.request.shots)
            found = found.model_copy(
                update={
                    "asked": found.asked | {"shots": self.request.shots_asked},
                    "made": found.made | {"shots": made},
                }
            )
        return found.as_document() if found.asked else None

    @property
    def told_fields(self) -> dict[str, Any]:
        """For clients, in answers that may hold more than their dialect knows: what is made instead, the prompt that is sent in
        place of theirs, and which attempt it is where it is not the first."""
        fitted = {"fitted": changes} if (changes := self.told_changes) else {}
        revised = {} if self.request.prompt_asked is None else {"revised_prompt": self.request.prompt}
        return fitted | revised | ({"attempt": self.attempt} if self.attempt > 1 else {})

    @property
    def told_prompt(self) -> str:
        """For clients: their own prompt, also where another one is sent."""
        asked = self.request.prompt_asked
        return self.request.prompt if asked is None else asked

    @property
    def is_segment(self) -> bool:
        """Whether it is a part of a film that is joined."""
        return self.owner.startswith(SEGMENT_OWNER)

    @property
    def is_joined(self) -> bool:
        """Whether it is a film that is joined of segments."""
        return self.account_id == JOINED

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


@lru_cache(maxsize=64)
def read_result(text: str) -> TaskResult:
    """Of a row. Several readers share it at a task's end, so none may change its ``usage``."""
    return TaskResult.model_validate_json(text)


def new_id(moment: float) -> str:
    """A UUID version 7 of ``moment`` (UTC seconds) that orders tasks of one millisecond too (RFC 9562, section 6.2,
    method 3); 62 bits are random."""
    milliseconds, fraction = divmod(int(moment * 1000 * 4096), 4096)
    value = (milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0x2 << 62) | secrets.randbits(62)
    return f"{value:032x}"


def new_task(row: dict[str, Any], request: GenerationRequest) -> Task:
    """The task that was just inserted, without reading it back."""
    return Task(
        id=row["id"],
        owner=row["owner"],
        key_id=row["key_id"],
        dialect=row["dialect"],
        kind=request.kind,
        model=request.model,
        state="queued",
        epoch=0,
        generating=False,
        progress=0.0,
        account_id=None,
        attempts=0,
        cancel_requested=False,
        deleted=False,
        purged=False,
        error_code=None,
        error_message=None,
        fingerprint=row["fingerprint"],
        created_at=row["created_at"],
        started_at=None,
        finished_at=None,
        deadline_at=row["deadline_at"],
        upstream_model=None,
        cost=None,
        money=None,
        made_at=None,
        expires_at=None,
        request_id=row["request_id"],
        prompt_removed=row["prompt_removed"],
        request_text=row["request"],
        operation_text=None,
        result_text=None,
        excluded_text=row["excluded"],
        only_account=row["only_account"],
        fitted_text=None,
        traceparent=row["traceparent"],
        **{name: row[name] for name in ("not_before", "priority", "place")},
    )


def files_are_kept(task: Task) -> bool:
    """Whether the files of a finished task exist and have not expired."""
    return task.result is not None and not task.purged and (task.expires_at or 0) > clock.now()


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
    return MediaInput(
        role="source_video",
        content_type=file.content_type,
        key=file.key,
        sha256=source.id,
        seconds=file.seconds,
        size=f"{file.width}x{file.height}" if file.width and file.height else None,
    )


def file_link(task: Task, file: StoredFile | DerivedFile, *, base: str, signer: LinkSigner) -> str:
    """The link from a delivery step, else our signed link, which needs no key while the signature is valid and the file is
    kept. Links of a private task are not signed and need the key."""
    path, now = f"/files/{task.id}/{file.name}", clock.now()
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


def timeline_row(task_id: str, *, epoch: int, event: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(clean_document(detail, text=DETAIL_CHARACTERS))
    return {"task_id": task_id, "at": clock.now(), "epoch": epoch, "event": event, "detail": text}


async def insert_rows(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of ``timeline_row`` in the caller's transaction."""
    if rows:
        await connection.execute(INSERT_ROW, rows)


async def add_timeline_row(
    connection: AsyncConnection, task_id: str, *, epoch: int, event: str, detail: dict[str, Any]
) -> None:
    """Insert one timeline row in the caller's transaction."""
    await insert_rows(connection, [timeline_row(task_id, epoch=epoch, event=event, detail=detail)])
