"""The studio as a provider: one folder per operation, jobs in a pool of processes."""

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import structlog

from app.errors import PollFailed, UnsupportedWish
from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    AccountCheck,
    Capabilities,
    Failed,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Queued,
    ResultFile,
    Running,
    Submission,
    Succeeded,
)
from app.providers.http import UpstreamClient
from app.providers.studio.plan import MAX_PIXELS, MAX_SECONDS, RESULT_NAMES
from app.providers.studio.planning import (
    KEEP_SECONDS,
    StudioDirectives,
    input_names,
    make_plan,
    original_of,
    raise_directed_error,
    read_directives,
    remove_old,
    request_of,
    store_inputs,
)
from app.providers.studio.pool import RenderJob, RenderPool

CHUNK_BYTES = 1024 * 1024
_SWEEP_EVERY = 300.0

log = structlog.get_logger(__name__)


class StudioProvider(Provider):
    """Renders clips and pictures on this machine.

    Options: ``workdir`` (a folder, required), ``workers`` (processes, 2), ``test_directives`` (False).
    """

    name = "studio"
    title = "Filmgate studio"
    embedded = True
    needs_secret = False
    sample_options: ClassVar[Mapping[str, Any]] = {"workdir": "studio"}
    verified = "embedded"
    auth_scheme = "none"
    reports_progress = True
    poll_interval = PollInterval(first=0.3, factor=1.2, cap=1.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._workdir = Path(account.options["workdir"])
        self._pool = RenderPool(int(account.options.get("workers", 2)))
        self._directives_allowed = bool(account.options.get("test_directives", False))
        self._jobs: dict[str, RenderJob] = {}
        self._swept_at = 0.0

    @property
    def process_ids(self) -> list[int]:
        """The ids of the running rendering processes."""
        return self._pool.process_ids

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(
            kinds=frozenset({"video", "image"}),
            roles=frozenset({"first_frame", "last_frame", "reference_image", "source_video", "subject"}),
            seconds=(1.0, MAX_SECONDS),
            max_pixels=MAX_PIXELS,
            native_shots=True,
            remix=True,
            cancel=True,
            idempotency_key=True,
        )

    def check(self, request: GenerationRequest) -> None:
        if request.kind not in RESULT_NAMES:
            raise UnsupportedWish(f"The studio can't make {request.kind}.", param="model")
        self._make_job(self._make_operation(request, Submission("check")))

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        """Queue a rendering. Requests with the same idempotency key share one operation and one rendering."""
        self.check(request)
        _, directives = self._split_directives(request)
        raise_directed_error(directives)
        operation = self._make_operation(request, submission)
        job = self._jobs.get(operation.id)
        if job is not None and job.state != "cancelled":
            return operation
        if await asyncio.to_thread(self._result_path(operation, request.kind).exists):
            return operation
        await self._remove_old_jobs()
        await asyncio.to_thread(store_inputs, self._job_folder(operation.id), request)
        self._submit_job(operation)
        return operation

    async def poll(self, operation: Operation) -> PollAnswer:
        """The state of a rendering. One that this process doesn't know is started again."""
        job = self._jobs.get(operation.id)
        if job is not None and job.state == "queued":
            return Queued()
        if job is not None and job.state == "running":
            return Running(progress=round(job.share * 100, 1))
        if job is not None and job.state in {"failed", "cancelled"}:
            return Failed(job.code, job.message)
        kind = request_of(operation).kind
        result = self._result_path(operation, kind)
        if await asyncio.to_thread(result.exists):
            content_type = "video/mp4" if kind == "video" else "image/png"
            file_kind: Literal["video", "image"] = "video" if kind == "video" else "image"
            return Succeeded((ResultFile(file_kind, content_type, data={"path": str(result)}),))
        await asyncio.to_thread(self._job_folder(operation.id).mkdir, parents=True, exist_ok=True)
        self._submit_job(operation)
        return Running(progress=0.0)

    async def cancel(self, operation: Operation) -> bool:
        job = self._jobs.get(operation.id)
        if job is not None and job.is_active:
            self._pool.cancel(job)
        await asyncio.to_thread(shutil.rmtree, self._job_folder(operation.id), ignore_errors=True)
        return True

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        """Start again: rendering is free and gives the same clip."""
        return await self.start(request, submission)

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        """The result in chunks of 1 MiB; the file is deleted after the last one.

        That is safe: if the reader loses it, the next poll renders the same clip again.
        """
        path = self._job_folder(operation.id) / Path(str(file.data["path"])).name
        try:
            stream = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError as error:
            raise PollFailed("The result is no longer there; it will be rendered again.") from error
        try:
            while chunk := await asyncio.to_thread(stream.read, CHUNK_BYTES):
                yield chunk
        finally:
            stream.close()
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def check_account(self) -> AccountCheck:
        return AccountCheck("accepted", "it is built in")

    async def close(self) -> None:
        """End the rendering processes; the files stay, so that a restarted gateway can continue."""
        await self._pool.close()

    def _make_operation(self, request: GenerationRequest, submission: Submission) -> Operation:
        data = {
            "request": request.model_dump(mode="json"),
            "origin": original_of(submission.remix_operation),
        }
        return Operation(id=f"studio-{submission.idempotency_key}", data=data)

    def _split_directives(self, request: GenerationRequest) -> tuple[GenerationRequest, StudioDirectives]:
        return read_directives(request) if self._directives_allowed else (request, StudioDirectives())

    def _make_job(self, operation: Operation) -> RenderJob:
        request, directives = self._split_directives(request_of(operation))
        origin = operation.data.get("origin")
        plan = make_plan(
            request,
            input_names(request),
            origin=self._split_directives(GenerationRequest.model_validate(origin))[0] if origin else None,
            directives=directives,
        )
        return RenderJob(id=operation.id, plan=plan, folder=self._job_folder(operation.id))

    def _submit_job(self, operation: Operation) -> None:
        known = self._jobs.get(operation.id)
        if known is None or not known.is_active:
            self._jobs[operation.id] = job = self._make_job(operation)
            self._pool.submit(job)

    def _job_folder(self, operation_id: str) -> Path:
        return self._workdir / hashlib.sha256(operation_id.encode()).hexdigest()[:32]

    def _result_path(self, operation: Operation, kind: str) -> Path:
        return self._job_folder(operation.id) / RESULT_NAMES[kind]

    async def _remove_old_jobs(self) -> None:
        """Every five minutes at most: remove old finished jobs and their files."""
        now = time.monotonic()
        if now - self._swept_at < _SWEEP_EVERY:
            return
        self._swept_at = now
        ended = [
            job.id for job in self._jobs.values() if not job.is_active and now - job.ended_at > KEEP_SECONDS
        ]
        for operation_id in ended:
            del self._jobs[operation_id]
        busy = frozenset(job.folder for job in self._jobs.values() if job.is_active)
        await asyncio.to_thread(remove_old, self._workdir, busy)
