"""ComfyUI: the operator's workflows as models, run by its own queue.

Its WebSocket tells progress only to who listens all the time, so a look reads the history and the queue.
"""

import uuid
from collections.abc import AsyncIterator
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel

from app.errors import (
    InvalidRequest,
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput
from app.providers.absence import Absences
from app.providers.account_options import options_of
from app.providers.addresses import origin_of
from app.providers.base import (
    Account,
    Capabilities,
    Operation,
    Pace,
    PollAnswer,
    Provider,
    Queued,
    ResultFile,
    Running,
    Submission,
)
from app.providers.comfyui.answers import Entry, History, Prompted, Queue, entry_id, holds
from app.providers.comfyui.workflow import Workflow, file_name
from app.providers.http import FormFile, UpstreamClient

HOST = "http://127.0.0.1:8188"
LISTED = 100
"""Prompts of the history that are looked through for a lost one."""


class Options(BaseModel):
    workflows: dict[str, Workflow] = {}
    lost_after_seconds: float = 60
    """How long ComfyUI must not know a submission before it counts as never arrived."""


class Uploaded(BaseModel):
    name: str
    subfolder: str = ""


class Nothing(BaseModel):
    """An answer without a body."""


class ComfyUI(Provider):
    """Needs no secret; one that is given goes as a Bearer token, for a proxy in front."""

    name = "comfyui"
    verified: ClassVar[str] = "documented"
    auth_form: ClassVar[str] = "none, or Bearer for a proxy"
    pace = Pace(first=1.0, factor=1.2, cap=5.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.options = options_of(account, Options)
        if not self.options.workflows:
            raise InvalidRequest(
                "options.workflows must hold at least one workflow", param="options.workflows"
            )
        self._absences = Absences()

    @classmethod
    def address(cls, account: Account) -> str:
        return origin_of(account, HOST).removesuffix("/api")

    def capabilities(self, model: str) -> Capabilities:
        workflow = self.options.workflows.get(model)
        if workflow is None:
            kinds = frozenset(one.kind for one in self.options.workflows.values())
            return Capabilities(kinds=kinds, cancel=True, idempotency_key=True)
        return Capabilities(
            kinds=frozenset({workflow.kind}),
            roles=workflow.roles,
            seconds=workflow.seconds,
            max_pixels=workflow.max_pixels,
            cancel=True,
            idempotency_key=True,
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        workflow, key = self.options.workflows.get(request.model), submission.idempotency_key
        if workflow is None:
            raise UpstreamRejected(f"there is no workflow {request.model}", param="model")
        workflow.check(request)
        files = {n: await self._upload(item, key=key, number=n) for n, item in enumerate(request.media)}
        body = {
            "prompt": workflow.filled(request, files, key=key),
            "prompt_id": str(uuid.uuid5(uuid.NAMESPACE_URL, key)),
            "client_id": key,
        }
        answer = await self.http.post_json("/prompt", body, answer=Prompted, even_if=Prompted.refused)
        if answer.body.refused():
            raise answer.body.submit_error(answer.status, answer.headers, self.http.cleaned)
        if not answer.body.prompt_id:
            raise OutcomeUnknown("ComfyUI accepted the prompt without naming it")
        return Operation(id=answer.body.prompt_id, data={"model": request.model})

    async def poll(self, operation: Operation) -> PollAnswer:
        entry = await self._entry(operation)
        if entry is None:
            queue = (await self.http.get("/queue", answer=Queue)).body
            if holds(queue.queue_running, operation.id):
                return Running()
            if holds(queue.queue_pending, operation.id):
                return Queued()
            entry = await self._entry(operation)  # it may have ended between the two looks
        if entry is None:
            raise OperationNotFound("ComfyUI no longer knows the prompt; a restart makes it forget")
        return entry.outcome(self.options.workflows.get(operation.data["model"]), self.http.cleaned)

    async def cancel(self, operation: Operation) -> bool:
        queue = (await self.http.get("/queue", answer=Queue)).body
        if holds(queue.queue_pending, operation.id):
            await self._tell("/queue", {"delete": [operation.id]})
            return True
        if holds(queue.queue_running, operation.id):
            # Older versions overlook the id and stop whatever runs, which was this one a moment ago.
            await self._tell("/interrupt", {"prompt_id": operation.id})
            return True
        return False

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        key = submission.idempotency_key
        found = await self._sent_by(key)
        if found:
            return Operation(id=found, data={"model": request.model})
        self._absences.confirm(
            key, after=self.options.lost_after_seconds, otherwise="ComfyUI does not know the prompt yet"
        )
        return None

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        async with self.http.stream("/view", params=dict(file.data)) as download:
            if download.content_type in {"application/json", "text/html"}:
                raise PollFailed(f"ComfyUI answered {download.content_type} in place of a file")
            async for chunk in download.chunks:
                yield chunk

    async def _entry(self, operation: Operation) -> Entry | None:
        path = f"/history/{quote(operation.id, safe='')}"
        history = (await self.http.get(path, answer=History)).body.root
        return history.get(operation.id)

    async def _sent_by(self, key: str) -> str | None:
        """By our name for the sender, as older versions choose the id themselves."""
        queue = (await self.http.get("/queue", answer=Queue)).body
        waiting = queue.queue_running + queue.queue_pending
        history = (await self.http.get("/history", answer=History, params={"max_items": LISTED})).body.root
        known = [*waiting, *(entry.prompt for entry in history.values())]
        return next((found for item in known if (found := entry_id(item, key))), None)

    async def _tell(self, path: str, body: dict[str, Any]) -> None:
        await self.http.post_json(path, body, answer=Nothing, purpose="look")

    async def _upload(self, item: MediaInput, *, key: str, number: int) -> str:
        """The name ComfyUI knows the file by. Nothing is begun by it, so no failure here is a doubt."""
        file = FormFile(
            "image", item.content or b"", item.content_type, file_name(item, key=key, number=number)
        )
        fields = {"type": "input", "overwrite": "true"}
        try:
            answer = await self.http.post_form("/upload/image", fields, files=[file], answer=Uploaded)
        except (OutcomeUnknown, UpstreamFailed) as error:
            raise UpstreamBusy(f"the {item.role} could not be uploaded: {error.message}") from error
        stored = answer.body
        return f"{stored.subfolder}/{stored.name}" if stored.subfolder else stored.name
