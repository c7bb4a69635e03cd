"""ComfyUI: the operator's workflows as models, run by its own queue.

Its WebSocket sends progress only to clients that stay connected, so a poll reads the history and the queue.
"""

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel

from app.errors import (
    InvalidRequest,
    OperationNotFound,
    OutcomeUnknown,
    UpstreamBusy,
    UpstreamFailed,
)
from app.generation import GenerationRequest, MediaInput
from app.providers.base import (
    Account,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Queued,
    ResultFile,
    Running,
    Submission,
    base_url_or,
    read_options,
)
from app.providers.comfyui.answers import (
    HistoryEntry,
    PromptAnswer,
    PromptHistory,
    PromptQueue,
    contains_prompt,
    entry_id,
    without_folders,
)
from app.providers.comfyui.sample import SAMPLE_WORKFLOW
from app.providers.comfyui.workflow import ComfyUIOptions, file_name
from app.providers.http import UpstreamClient
from app.providers.http_messages import FormFile
from app.providers.missing_submissions import MissingSubmissions

HOST = "http://127.0.0.1:8188"
LISTED = 100
"""Prompts of the history that are searched for a lost one."""


class UploadAnswer(BaseModel):
    name: str
    subfolder: str = ""


class EmptyAnswer(BaseModel):
    """An answer without a body."""


class ComfyUIProvider(Provider):
    """Needs no secret. One that is set is sent as a Bearer token, for a proxy in front of the server."""

    name = "comfyui"
    title = "ComfyUI"
    docs_url = "https://docs.comfy.org/development/comfyui-server/comms_routes"
    auth_scheme = "none, or Bearer for a proxy"
    needs_secret = False
    sample_models = ("wan",)
    sample_options: ClassVar[Mapping[str, Any]] = {"workflows": {"wan": SAMPLE_WORKFLOW}}
    poll_interval = PollInterval(first=1.0, factor=1.2, cap=5.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.options = read_options(account, ComfyUIOptions)
        if not self.options.workflows:
            raise InvalidRequest(
                "options.workflows must hold at least one workflow", param="options.workflows"
            )
        self.remaking = self.options.remaking()
        self._absences = MissingSubmissions()

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/api")

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
            # A prompt that no node reads would swallow what is written into it.
            native_styles="style" in workflow.inputs or "prompt" not in workflow.inputs,
            native_shots="prompt" not in workflow.inputs,
            cancel=True,
            idempotency_key=True,
        )

    def check(self, request: GenerationRequest) -> None:
        self.options.workflow_of(request).check_inputs(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        workflow, key = self.options.workflow_of(request), submission.idempotency_key
        workflow.check_inputs(request)
        files = {n: await self._upload_input(item, key=key, number=n) for n, item in enumerate(request.media)}
        body = {
            "prompt": workflow.fill_graph(request, files, key=key),
            "prompt_id": str(uuid.uuid5(uuid.NAMESPACE_URL, key)),
            "client_id": key,
        }
        answer = await self.http.post_json(
            "/prompt", body, answer=PromptAnswer, even_if=PromptAnswer.is_error
        )
        if answer.body.is_error():
            raise answer.body.submit_error(answer.status, answer.headers, self._clean_text)
        if not answer.body.prompt_id:
            raise OutcomeUnknown("ComfyUI accepted the prompt without naming it")
        return Operation(id=answer.body.prompt_id, data={"model": request.model})

    async def poll(self, operation: Operation) -> PollAnswer:
        entry = await self._history_entry(operation)
        if entry is None:
            queue = (await self.http.get("/queue", answer=PromptQueue)).body
            if contains_prompt(queue.queue_running, operation.id):
                return Running()
            if contains_prompt(queue.queue_pending, operation.id):
                return Queued()
            entry = await self._history_entry(operation)  # it may have ended between the two requests
        if entry is None:
            raise OperationNotFound("ComfyUI no longer knows the prompt; a restart makes it forget")
        return entry.poll_answer(self.options.workflows.get(operation.data["model"]), self._clean_text)

    async def cancel(self, operation: Operation) -> bool:
        queue = (await self.http.get("/queue", answer=PromptQueue)).body
        if contains_prompt(queue.queue_pending, operation.id):
            await self._post_command("/queue", {"delete": [operation.id]})
            return True
        if contains_prompt(queue.queue_running, operation.id):
            # Older versions ignore the id and stop whatever runs, which was this prompt a moment ago.
            await self._post_command("/interrupt", {"prompt_id": operation.id})
            return True
        return False

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        key = submission.idempotency_key
        prompt_id = await self._find_prompt(key)
        if prompt_id:
            return Operation(id=prompt_id, data={"model": request.model})
        self._absences.confirm_missing(
            key,
            after=self.options.lost_after_seconds,
            otherwise="ComfyUI does not know the prompt yet",
        )
        return None

    def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        return self.download("/view", what="a file", params=dict(file.data))

    def _clean_text(self, text: str) -> str:
        return self.http.clean_text(without_folders(text))

    async def _history_entry(self, operation: Operation) -> HistoryEntry | None:
        path = f"/history/{quote(operation.id, safe='')}"
        history = (await self.http.get(path, answer=PromptHistory)).body.root
        return history.get(operation.id)

    async def _find_prompt(self, key: str) -> str | None:
        """The id of the prompt with our ``client_id``: older versions ignore a ``prompt_id`` and choose their own."""
        queue = (await self.http.get("/queue", answer=PromptQueue)).body
        waiting = queue.queue_running + queue.queue_pending
        history = (
            await self.http.get("/history", answer=PromptHistory, params={"max_items": LISTED})
        ).body.root
        known = [*waiting, *(entry.prompt for entry in history.values())]
        return next((prompt_id for item in known if (prompt_id := entry_id(item, key))), None)

    async def _post_command(self, path: str, body: dict[str, Any]) -> None:
        await self.http.post_json(path, body, answer=EmptyAnswer, purpose="poll")

    async def _upload_input(self, item: MediaInput, *, key: str, number: int) -> str:
        """The file's name at ComfyUI. An upload starts no work, so every failure of it is ``UpstreamBusy`` or a refusal."""
        file = FormFile(
            "image", item.content or b"", item.content_type, file_name(item, key=key, number=number)
        )
        fields = {"type": "input", "overwrite": "true"}
        try:
            answer = await self.http.post_form("/upload/image", fields, files=[file], answer=UploadAnswer)
        except (OutcomeUnknown, UpstreamFailed) as error:
            raise UpstreamBusy(f"the {item.role} could not be uploaded: {error.message}") from error
        stored = answer.body
        return f"{stored.subfolder}/{stored.name}" if stored.subfolder else stored.name
