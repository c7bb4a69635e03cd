"""Luma: the legacy Dream Machine API, or with ``options.api = "agents"`` the current Agents API."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from app.errors import InvalidRequest, OutcomeUnknown, UnsupportedWish
from app.generation import GenerationRequest
from app.providers.base import (
    EARLIER,
    Account,
    AccountBalance,
    Capabilities,
    Failed,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Queued,
    Running,
    Submission,
    Succeeded,
    base_url_or,
)
from app.providers.http_errors import submit_error
from app.providers.inputs import without_none
from app.providers.luma import agents, dream_machine
from app.providers.luma.answers import STATES, CreditBalance, LumaGeneration
from app.providers.luma.models import model_of
from app.providers.reading import read_state

HOSTS: Mapping[str, str] = {"dream_machine": dream_machine.HOST, "agents": agents.HOST}


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
        newer, known = _api_name(self.account) == "agents", model_of(model)
        if known is not None and known.traits["api"] != _api_name(self.account):
            return Capabilities(frozenset())
        if known is not None:
            return known.capabilities(remix=newer and known.kind == "video", cancel=not newer)
        api = agents if newer else dream_machine
        if api.makes_images(model):
            return Capabilities(frozenset({"image"}), roles=api.IMAGE_ROLES, cancel=not newer)
        return Capabilities(frozenset({"video"}), roles=api.VIDEO_ROLES, remix=newer, cancel=not newer)

    def check(self, request: GenerationRequest) -> None:
        self._path_and_body(request, EARLIER)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        path, body = self._path_and_body(request, submission.remix_operation)
        answer = await self.http.post_json(
            path, body, answer=LumaGeneration, even_if=lambda body: body.error_meaning is not None
        )
        if answer.status >= 400:
            message = self.http.clean_text(answer.body.message or answer.body.failure_code)
            meaning = answer.body.error_meaning
            raise submit_error(meaning, message, status=answer.status, headers=answer.headers)
        if not answer.body.id.strip("."):
            raise OutcomeUnknown("Luma accepted the request without a generation id")
        return Operation(id=answer.body.id, data={"kind": request.kind, "facts": _usage_facts(request, body)})

    def _path_and_body(
        self, request: GenerationRequest, earlier: Operation | None
    ) -> tuple[str, dict[str, Any]]:
        known = model_of(request.model)
        if known is not None and known.traits["api"] != _api_name(self.account):
            text = f"{request.model} is in Luma's other API: the account needs options.api = {known.traits['api']}"
            raise UnsupportedWish(text, param="model")
        if _api_name(self.account) == "agents":
            return agents.path_and_body(request, earlier)
        return dream_machine.path_and_body(request, earlier)

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
            moderated = generation.error_meaning == "moderated"
            return Failed.upstream_error(message or "Luma gave no reason.", moderated=moderated)
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
