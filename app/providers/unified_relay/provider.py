"""Gateways with the unified task API, ``POST`` and ``GET /v2/{videos,images,audio}/generations``."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import AliasChoices, BaseModel, Field

from app.errors import OutcomeUnknown, UpstreamError, UpstreamFailed, UpstreamModerated
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    EARLIER,
    Capabilities,
    Operation,
    PollAnswer,
    Queued,
    Running,
    Submission,
    Succeeded,
)
from app.providers.gateway import GatewayRelay, GatewayTask, SubmittedTask, busy_or_failed
from app.providers.http_messages import PICTURE_SECONDS
from app.providers.reading import (
    Fields,
    Items,
    State,
    Text,
    read_error,
    read_state,
    retry_after_of,
)
from app.providers.unified_relay.requests import ROLES, character_fields, request_body

KINDS: frozenset[Kind] = frozenset({"video", "image", "audio", "character"})
SCOPES: Mapping[Kind, str] = {"video": "videos", "image": "images", "audio": "audio"}
STATES: Mapping[str, State] = {
    **dict.fromkeys(("NOT_START", "SUBMITTED", "QUEUED"), "queued"),
    "IN_PROGRESS": "running",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
}


class UnifiedTask(GatewayTask):
    data: Fields = Field(default_factory=dict)
    output: Any = None
    outputs: Items = Field(default_factory=list)
    cost: Any = None

    def file_urls(self) -> list[Any]:
        """In ``data``; some forks write them beside the state."""
        many: list[Any] = self.data.get("outputs") or self.outputs
        return many if isinstance(many, list) and many else [self.data.get("output") or self.output]


class CharacterAnswer(BaseModel):
    """The answer of ``POST /sora/v1/characters``."""

    id: Text = ""
    username: Text = ""
    permalink: Text = ""
    picture: Text = Field(default="", validation_alias=AliasChoices("profile_picture_url", "picture"))
    error: Any = None


class UnifiedRelayProvider(GatewayRelay):
    name = "unified_relay"
    title = "Gateway with the unified task API"
    reports_progress = True

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(
            kinds=self.account.kinds or KINDS,
            roles=ROLES,
            seconds=self.settings.seconds,
            native_styles=True,
            cancel=self.settings.cancel,
            idempotency_key=self.settings.idempotency,
        )

    def check(self, request: GenerationRequest) -> None:
        if request.kind == "character":
            character_fields(request, EARLIER)
        else:
            request_body(request, references=self.settings.references)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        if request.kind == "character":
            return await self._start_character(request, submission)
        body = request_body(request, references=self.settings.references)
        scope = SCOPES[request.kind]
        headers = {"Idempotency-Key": submission.idempotency_key}
        try:
            answer = await self.http.post_json(
                f"/v2/{scope}/generations", body, answer=SubmittedTask, headers=headers
            )
        except UpstreamFailed as error:
            raise busy_or_failed(error) from error
        if not answer.body.task_id:
            raise self._refusal_error(answer.body.error or answer.body.message)
        return Operation(id=answer.body.task_id, data={"kind": request.kind, "scope": scope})

    async def poll(self, operation: Operation) -> PollAnswer:
        character = operation.data.get("character")
        if character is not None:
            link = character["picture"]
            link = self.http.base_url + link if link.startswith("/") else link
            files = (self.result_file(link, "image"),) if link else ()
            return Succeeded(files, usage={"username": character["username"], "character_id": operation.id})
        path = f"/v2/{operation.data['scope']}/generations/{quote(operation.id, safe='')}"
        answer = await self.http.get(path, answer=UnifiedTask)
        task, pace = answer.body, retry_after_of(answer.headers)
        state = read_state(task.status.strip().upper(), STATES, provider=self.name)
        if state == "queued":
            return Queued(retry_after=pace)
        if state == "succeeded":
            usage = {"cost": task.cost} if isinstance(task.cost, int | float) else {}
            return self.succeeded_answer(task.file_urls(), operation, usage=usage)
        if state in {"failed", "moderated", "cancelled", "expired"}:
            return self.failed_answer(task.error_message, state)
        return Running(progress=task.progress, retry_after=pace)

    async def cancel(self, operation: Operation) -> bool:
        return "scope" in operation.data and await self.cancel_task(operation)

    async def _start_character(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = character_fields(request, submission.remix_operation)
        headers = {"Idempotency-Key": submission.idempotency_key}
        answer = await self.http.post_json(
            "/sora/v1/characters", body, answer=CharacterAnswer, headers=headers, timeout=PICTURE_SECONDS
        )
        character = answer.body
        if not character.username:
            raise self._refusal_error(character.error)
        # The character can't be polled, so its answer is stored in the operation.
        base = self.http.base_url
        stored = {"username": character.username, "picture": character.picture.removeprefix(base)}
        return Operation(id=character.id or character.username, data={"character": stored})

    def _refusal_error(self, error: Any) -> UpstreamError:
        """The error for a 2xx without a task: some gateways put their refusal there."""
        detail = read_error({"error": error}) if error else None
        if detail is None:
            return OutcomeUnknown("the upstream accepted the request without a task id")
        text = self.http.clean_text(detail.message)
        return UpstreamModerated(text) if detail.is_moderated else busy_or_failed(UpstreamFailed(text))
