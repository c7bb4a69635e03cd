"""Luma: the legacy Dream Machine API, or with ``options.api = "agents"`` the current Agents API."""

from collections.abc import Mapping
from urllib.parse import quote

from pydantic import BaseModel, FiniteFloat

from app.errors import InvalidRequest, OutcomeUnknown
from app.generation import GenerationRequest
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
from app.providers.http_errors import submit_error
from app.providers.inputs import without_none
from app.providers.luma import agents, dream_machine
from app.providers.reading import State, Text, read_state

HOSTS: Mapping[str, str] = {"dream_machine": dream_machine.HOST, "agents": agents.HOST}
STATES: Mapping[str, State] = {
    "queued": "queued",
    "dreaming": "running",
    "processing": "running",
    "completed": "succeeded",
    "failed": "failed",
}
MODERATED_CODE = "content_moderated"
MODERATION_TEXT = "moderation failed"
"""The legacy API has no error code for moderation, only this text. ("failed to moderate" is a server error.)"""


class LumaAssets(BaseModel):
    video: Text = ""
    image: Text = ""
    """The picture, or the thumbnail of a video."""


class LumaOutput(BaseModel):
    type: Text = ""
    url: Text = ""


class LumaGeneration(BaseModel):
    """A generation of either API. The legacy API puts results into ``assets``, the current one into ``output``."""

    id: Text = ""
    detail: Text = ""
    """The error text of a refused request."""
    state: Text = ""
    failure_reason: Text = ""
    failure_code: Text = ""
    assets: LumaAssets | None = None
    output: list[LumaOutput] | None = None

    @property
    def is_moderated(self) -> bool:
        message = f"{self.detail} {self.failure_reason}".lower()
        return self.failure_code == MODERATED_CODE or MODERATION_TEXT in message

    def result_files(self, *, pictures: bool) -> tuple[ResultFile, ...]:
        assets = self.assets or LumaAssets()
        links = [assets.image if pictures else assets.video, *(one.url for one in self.output or [])]
        if pictures:
            return tuple(ResultFile("image", "image/png", url=link) for link in links if link)
        return tuple(ResultFile("video", "video/mp4", url=link) for link in links if link)


class CreditBalance(BaseModel):
    credit_balance: FiniteFloat
    """In US cents."""


class LumaProvider(Provider):
    """The two APIs have separate keys, so an account uses one of them (``options.api``)."""

    name = "luma"
    title = "Luma"
    docs_url = "https://docs.lumalabs.ai"
    sample_models = ("ray-2", "ray-flash-2")
    verified = "verified against lumaai 1.21.0 and luma-agents 0.5.0"
    poll_interval = PollInterval(first=3.0, factor=1.2, cap=20.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        if (api := _api_name(account)) not in HOSTS:
            raise InvalidRequest("options.api must be dream_machine or agents", param="options.api")
        return base_url_or(account, HOSTS[api])

    def capabilities(self, model: str) -> Capabilities:
        if not model:
            return Capabilities(kinds=self.account.kinds or frozenset({"video", "image"}))
        newer = _api_name(self.account) == "agents"
        return agents.capabilities_of(model) if newer else dream_machine.capabilities_of(model)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        api = agents if _api_name(self.account) == "agents" else dream_machine
        path, body = api.path_and_body(request, submission.remix_operation)
        answer = await self.http.post_json(
            path, body, answer=LumaGeneration, even_if=lambda body: body.is_moderated
        )
        if answer.status >= 400:
            message = self.http.clean_text(answer.body.detail or answer.body.failure_reason)
            raise submit_error("moderated", message, status=answer.status, headers=answer.headers)
        if not answer.body.id.strip("."):
            raise OutcomeUnknown("Luma accepted the request without a generation id")
        return Operation(id=answer.body.id, data={"kind": request.kind, "facts": _usage_facts(request, body)})

    async def poll(self, operation: Operation) -> PollAnswer:
        generation = (await self.http.get(_generation_path(operation), answer=LumaGeneration)).body
        state = read_state(generation.state, STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            files = generation.result_files(pictures=operation.data["kind"] == "image")
            return Succeeded(files, usage=operation.data["facts"])
        if state == "failed":
            message = self.http.clean_text(generation.failure_reason or generation.failure_code)
            return Failed.upstream_error(message or "Luma gave no reason.", moderated=generation.is_moderated)
        return Running()

    async def cancel(self, operation: Operation) -> bool:
        """The legacy API deletes the generation; the current API can't cancel."""
        return _api_name(self.account) != "agents" and await self.http.delete(_generation_path(operation))

    async def balance(self) -> AccountBalance | None:
        """The legacy API reports the balance; the current API does not."""
        if _api_name(self.account) == "agents":
            return None
        answer = await self.http.get("/credits", answer=CreditBalance)
        return AccountBalance(answer.body.credit_balance, "USD cents")


def _api_name(account: Account) -> str:
    return str(account.options.get("api", "dream_machine"))


def _generation_path(operation: Operation) -> str:
    return f"/generations/{quote(operation.id, safe='')}"


def _usage_facts(request: GenerationRequest, body: Mapping[str, object]) -> dict[str, object]:
    """The requested length and resolution: Luma bills by them, and its answers don't repeat them."""
    video = body.get("video")
    source = video if isinstance(video, dict) else body
    facts = {"seconds": request.seconds, "resolution": source.get("resolution")}
    return without_none(facts)
