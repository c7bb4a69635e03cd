"""Runway's developer API: its own models and those it hosts, videos and images, all as tasks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, Field, FiniteFloat

from app.errors import OutcomeUnknown
from app.generation import GenerationRequest, MediaKind
from app.providers.base import (
    Account,
    AccountBalance,
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
    base_url_or,
)
from app.providers.http_errors import ErrorMeaning, submit_error
from app.providers.reading import Fields, Items, State, Text, read_state
from app.providers.runway.models import endpoints_of, makes_images, model_of, sizes_of
from app.providers.runway.requests import ROLES, request_body, submit_path

VERSION = "2024-11-06"
STATES: Mapping[str, State] = {
    "PENDING": "queued",
    "THROTTLED": "queued",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}
NO_CREDITS = "enough credits"
"""Runway answers 400 with this text, and no code, when the balance is empty."""
NO_REASON = "Runway gave no reason."


def _as_percent(value: object) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(max(float(value) * 100, 0.0), 100.0) if number else None  # type: ignore[arg-type]


class SubmitAnswer(BaseModel):
    id: Text = ""
    error: Text = ""
    failureCode: Text = ""  # noqa: N815 - the vendor's own name
    code: Text = ""

    @property
    def error_meaning(self) -> ErrorMeaning | None:
        """Of a refusal that its status does not explain."""
        if NO_CREDITS in self.error:
            return "quota"
        return "moderated" if is_moderated(self.failureCode or self.code) else None


def is_moderated(code: str) -> bool:
    """``SAFETY.INPUT.TEXT``, ``INPUT_PREPROCESSING.SAFETY.TEXT`` …; all other codes are failures of Runway:
    https://docs.dev.runwayml.com/errors/task-failures/"""
    return "SAFETY" in code.split(".")


class RunwayTask(BaseModel):
    status: Text = ""
    progress: Annotated[float | None, BeforeValidator(_as_percent)] = None
    """In percent; Runway sends 0 to 1."""
    output: Items = Field(default_factory=list)
    failure: Text = ""
    failureCode: Text = ""  # noqa: N815 - the vendor's own name
    cost: Fields = Field(default_factory=dict)

    @property
    def bill(self) -> dict[str, Any]:
        return {"credits": self.cost["credits"]} if "credits" in self.cost else {}


class RunwayOrganization(BaseModel):
    creditBalance: FiniteFloat  # noqa: N815 - the vendor's own name


class RunwayProvider(Provider):
    """Runway accepts more tasks than the tier allows and keeps them as THROTTLED, so it never refuses for that."""

    name = "runway"
    title = "Runway"
    docs_url = "https://docs.dev.runwayml.com"
    sample_models = ("gen4.5", "gen4_turbo", "aleph2", "gen4_image")
    reports_progress = True
    verified = "verified against runwayml 5.24.0"
    poll_interval = PollInterval(first=5.0, factor=1.2, cap=20.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, "https://api.dev.runwayml.com").removesuffix("/v1")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        return {"X-Runway-Version": VERSION, **super().auth_headers(account)}

    def capabilities(self, model: str) -> Capabilities:
        if not model:
            return Capabilities(kinds=self.account.kinds or frozenset({"video", "image"}), cancel=True)
        known = model_of(model)
        if known is None:
            kind: MediaKind = "image" if makes_images(model) else "video"
            return Capabilities(kinds=frozenset({kind}), roles=ROLES, cancel=True)
        return known.capabilities(
            sizes=sizes_of(model),
            native_shots=any("providerSettings" in one.takes for one in (endpoints_of(model) or {}).values()),
            remix="source_video" in known.inputs,
            cancel=True,
        )

    def check(self, request: GenerationRequest) -> None:
        submit_path(request)
        request_body(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        path, body = submit_path(request), request_body(request)
        answer = await self.http.post_json(
            path, body, answer=SubmitAnswer, even_if=lambda body: body.error_meaning is not None
        )
        meaning = answer.body.error_meaning
        if meaning is not None:
            message = self.http.clean_text(answer.body.error)
            raise submit_error(meaning, message, status=answer.status, headers=answer.headers)
        if not answer.body.id.strip("."):
            raise OutcomeUnknown("Runway accepted the request without a task id")
        return Operation(id=answer.body.id, data={"kind": request.kind})

    async def poll(self, operation: Operation) -> PollAnswer:
        task = (await self.http.get(_task_path(operation), answer=RunwayTask)).body
        state = read_state(task.status, STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            return _succeeded_answer(task, pictures=operation.data.get("kind") == "image")
        if state == "failed":
            text = self.http.clean_text(task.failure) or NO_REASON
            failed = Failed.upstream_error(text, moderated=is_moderated(task.failureCode))
            return replace(failed, usage=task.bill if task.bill.get("credits") else {})
        if state == "cancelled":
            return Failed("cancelled", "The task was cancelled.")
        return Running(progress=task.progress)

    async def cancel(self, operation: Operation) -> bool:
        return await self.http.delete(_task_path(operation))

    async def balance(self) -> AccountBalance:
        organization = (await self.http.get("/v1/organization", answer=RunwayOrganization)).body
        return AccountBalance(organization.creditBalance, "credits")


def _succeeded_answer(task: RunwayTask, *, pictures: bool) -> Succeeded:
    links = [link for link in task.output if isinstance(link, str) and link]
    if pictures:
        files = tuple(ResultFile("image", "image/png", url=link) for link in links)
    else:
        files = tuple(ResultFile("video", "video/mp4", url=link) for link in links)
    return Succeeded(files, usage=task.bill)


def _task_path(operation: Operation) -> str:
    return f"/v1/tasks/{quote(operation.id, safe='')}"
