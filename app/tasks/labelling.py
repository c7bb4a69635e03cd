"""The step between a result that was copied and one that is stored: its labels.

Crash points. A label is written to a file in the work folder; the hash of that file is committed, then the file is stored,
then the task is completed. Whoever dies before that leaves a task that is ``storing``, and the next run copies and labels
again: no unlabelled file is ever where a client can reach it. A hash without a film may be left over, of bytes that were ours.

What can't be labelled is kept under a name that no result has (``KEPT``), with the vendor's answer beside it, so that a
vendor's short-lived link is not needed again; the task stays ``storing`` and is tried again until the labels can be added
or the operator no longer requires them. It goes with the task's folder.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from app.db.session import DATABASE_AWAY
from app.errors import FilmgateError, LabelsFailed, NotFound
from app.media.inspection import RESULT_BYTES, MediaInfo, MediaInspector, result_content_type
from app.media.labels.options import LabelOptions, Layer
from app.media.labels.sealing import FilmSealer, UnsealedFilm
from app.media.scratch import ScratchFiles
from app.media.store import MediaStore, task_folders
from app.providers.base import ResultFile, Succeeded
from app.tasks.film_hashes import FilmHashes
from app.tasks.task import Task

log = structlog.get_logger()
TOPIC = "labels_failed"
KEPT = "unlabelled"
ANSWER = f"{KEPT}.json"
KEPT_FIELD = "filmgate_kept"
"""In ``ResultFile.data``: the key of the kept file in our store."""
MARKED_PICTURES = ("image/png", "image/jpeg")
SIGNED_PICTURES = (*MARKED_PICTURES, "image/webp")
Notify = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class InspectedCopy:
    """One of ``files`` in the work folder. ``found``: what is in it, None where it could not be looked at; ``layers``: the labels we
    added; ``marks``: those it came with, known where it was labelled."""

    path: Path
    files: ScratchFiles
    found: MediaInfo | None
    content_type: str
    sha256: str
    layers: tuple[Layer, ...] = ()
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnlabelledCopy:
    """``original`` as the vendor made it, ``copy`` as it is to be stored (it may be trimmed). ``number`` counts the files of
    the result."""

    task: Task
    original: Path
    copy: InspectedCopy
    kind: str
    number: int


class FilmLabeller:
    """Adds the labels that the operator and the key want."""

    def __init__(
        self,
        inspector: MediaInspector,
        store: MediaStore,
        hashes: FilmHashes,
        *,
        sealer: FilmSealer | None,
        notify: Notify,
    ) -> None:
        self._inspector = inspector
        self._store = store
        self._hashes = hashes
        self._sealer = sealer
        self._notify = notify

    async def label_copy(
        self, work: UnlabelledCopy, rules: LabelOptions, *, note: Callable[..., Awaitable[None]]
    ) -> InspectedCopy:
        """The copy with its labels; as it is, where none is for its kind. Raises ``LabelsFailed`` when one can't be added:
        then the original is kept, and the operator is told."""
        try:
            labelled = await self._add_labels(work, rules)
        except (FilmgateError, OSError, *DATABASE_AWAY) as error:
            reason = getattr(error, "message", "") or type(error).__name__
            log.error("labels.failed", task=work.task.id, error=reason)
            await self._keep_original(work)
            self._notify(TOPIC, {"task": work.task.id, "model": work.task.model, "error": reason})
            raise LabelsFailed(
                f"Its labels could not be added, so it is kept and not served: {reason}"
            ) from error
        if labelled.layers:
            await note("labelled", layers=list(labelled.layers), marks=list(labelled.marks))
        return labelled

    async def _add_labels(self, work: UnlabelledCopy, rules: LabelOptions) -> InspectedCopy:
        wanted = fitting_layers(work, rules)
        labelled = work.copy
        if "implicit" in wanted or "visible" in wanted:
            labelled = await self._write_labels(work, rules, wanted)
        if "c2pa" in wanted:
            labelled = await self._seal_copy(work, labelled)
        if not wanted:
            return labelled
        labelled = replace(
            labelled,
            content_type=await asyncio.to_thread(_sniff_file, labelled.path, work.kind),
            sha256=await asyncio.to_thread(file_sha256, labelled.path),
            layers=wanted,
        )
        task = work.task
        await self._hashes.write(
            labelled.sha256, task_id=task.id, owner=task.owner, model=task.model, layers=wanted
        )
        return labelled

    async def _write_labels(
        self, work: UnlabelledCopy, rules: LabelOptions, wanted: tuple[Layer, ...]
    ) -> InspectedCopy:
        target = work.copy.files.path("labelled")
        options: dict[str, str | float] = {
            "service": rules.producer if "implicit" in wanted else "",
            "number": f"{work.task.id}-{work.number + 1}" if work.number else work.task.id,
            "integrity": f"sha256:{await asyncio.to_thread(file_sha256, work.original)}",
        }
        if work.kind == "video":
            options |= {
                "text": rules.text if "visible" in wanted else "",
                "seconds": rules.seconds,
                "signed": "c2pa" in wanted,
            }
        found = await self._inspector.label_film(work.copy.path, target, **options)
        return replace(work.copy, path=target, found=found, marks=tuple(found.marks))

    async def _seal_copy(self, work: UnlabelledCopy, labelled: InspectedCopy) -> InspectedCopy:
        if self._sealer is None:
            raise LabelsFailed(
                "FILMGATE_C2PA_CERTIFICATE and FILMGATE_C2PA_KEY are not set, so nothing can be signed."
            )
        target = work.copy.files.path("sealed")
        form = await asyncio.to_thread(_sniff_file, labelled.path, work.kind)
        vendor_form = await asyncio.to_thread(_sniff_file, work.original, work.kind)
        film = UnsealedFilm(
            labelled.path, form, work.original, vendor_form, actions=_changes_since(work, labelled)
        )
        await self._sealer.seal_film(film, target)
        return replace(labelled, path=target)

    async def _keep_original(self, work: UnlabelledCopy) -> None:
        if work.original.exists():
            await self._store.put_file(kept_key(work.task, work.number), work.original)

    async def keep_answer(self, task: Task, answer: Succeeded) -> None:
        """Call when a file of ``answer`` could not be labelled: a later run needs the vendor no more."""
        files = [await self._kept_file(task, file, number) for number, file in enumerate(answer.files)]
        document = {"files": [asdict(file) for file in files], "usage": dict(answer.usage)}
        await self._store.put(_answer_key(task), json.dumps(document).encode())

    async def find_answer(self, task: Task) -> Succeeded | None:
        """What was kept; None where nothing was. Raises ``ServiceUnavailable``."""
        try:
            document = json.loads(await self._store.get(_answer_key(task)))
        except NotFound:
            return None
        return Succeeded(tuple(ResultFile(**file) for file in document["files"]), usage=document["usage"])

    async def _kept_file(self, task: Task, file: ResultFile, number: int) -> ResultFile:
        key = kept_key(task, number)
        try:
            await self._store.head(key)
        except NotFound:
            return replace(file, data=dict(file.data))
        return ResultFile(file.kind, file.content_type, data={KEPT_FIELD: key})


def fitting_layers(work: UnlabelledCopy, rules: LabelOptions) -> tuple[Layer, ...]:
    """The layers that a file of this kind can have: a film all of them, a picture those that need no drawing, a sound none."""
    wanted = rules.layers_for(work.task.request.labels)
    if work.kind == "video":
        return wanted
    form = work.copy.content_type
    able = {"implicit": form in MARKED_PICTURES, "c2pa": form in SIGNED_PICTURES}
    return tuple(layer for layer in wanted if able.get(layer))


def _changes_since(work: UnlabelledCopy, labelled: InspectedCopy) -> tuple[str, ...]:
    """What was done to the film since its vendor made it, as C2PA names it."""
    changes = ["c2pa.trimmed"] if work.copy.path != work.original else []
    if labelled.path != work.copy.path:
        changes.append("c2pa.edited")
    return tuple(changes)


def kept_key(task: Task, number: int) -> str:
    return f"{task_folders(task.id)[0]}/{KEPT}-{number + 1}"


def _answer_key(task: Task) -> str:
    return f"{task_folders(task.id)[0]}/{ANSWER}"


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sniff_file(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return result_content_type(file.read(RESULT_BYTES), kind=kind, stated="")
