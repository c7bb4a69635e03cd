"""Black Forest Labs (``api.bfl.ai``): FLUX pictures and FLUX 3 videos, polled at the address that the answer names."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import parse_qs, urlsplit

from app.errors import InvalidRequest, OutcomeUnknown, PollFailed
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
    Running,
    Submission,
    base_url_or,
)
from app.providers.bfl import requests
from app.providers.bfl.answers import (
    STATES,
    BFLResult,
    CreditBalance,
    SubmitAnswer,
    is_bfl_host,
    succeeded_answer,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import missing_file, submit_error, unknown_task, unnamed_task
from app.providers.reading import read_state

HOST = "https://api.bfl.ai"
RESULT = "/v1/get_result"
PATH = re.compile(r"(/(?!\.)[\w.-]+)+", re.ASCII)


class BFLProvider(Provider):
    """A result is kept by the cluster that took the request; an operation keeps its host, path and id.

    The key is sent only to the account's own address, to BFL's hosts when that address is one of them, and to
    ``account.options["polling_origins"]``. https://docs.bfl.ai/api_integration/integration_guidelines
    """

    name = "bfl"
    title = "Black Forest Labs"
    docs_url = "https://docs.bfl.ai"
    reports_progress = True
    auth_scheme = "x-key"
    sample_models = ("flux-3-video", "flux-2-pro")
    poll_interval = PollInterval(first=1.0, factor=1.3, cap=10.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        origins = account.options.get("polling_origins", [])
        if not isinstance(origins, list) or any(not urlsplit(str(one)).hostname for one in origins):
            raise InvalidRequest(
                "polling_origins must be a list like ['https://host']", param="options.polling_origins"
            )
        self._origins = {urlsplit(one).netloc: str(one).rstrip("/") for one in origins}
        self._clusters: dict[str, UpstreamClient] = {}

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        return {"x-key": account.secret} if account.secret else {}

    def capabilities(self, model: str) -> Capabilities:
        if not model:
            return Capabilities(kinds=frozenset({"image", "video"}))
        known, kind = requests.find_model(model), requests.kind_of(model)
        if known is None:
            roles = requests.CLIPS if kind == "video" else requests.PICTURES
            return Capabilities(kinds=frozenset({kind}), roles=roles)
        if kind == "video":
            return known.capabilities()
        return known.capabilities(max_pixels=requests.picture_traits(model).max_pixels)

    def check(self, request: GenerationRequest) -> None:
        requests.path_and_body(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        path, body = requests.path_and_body(request)
        answer = await self.http.post_json(path, body, answer=SubmitAnswer, even_if=SubmitAnswer.is_moderated)
        accepted = answer.body
        if accepted.is_moderated():
            text = self.http.clean_text(accepted.detail)
            raise submit_error("moderated", text, status=answer.status, headers=answer.headers)
        if not accepted.id:
            raise unnamed_task("BFL")
        data = {
            "kind": request.kind,
            "usage": accepted.usage_facts,
            **poll_location(accepted.polling_url, own=self.http.base_url, others=self._origins),
        }
        return Operation(id=accepted.id, data=data)

    async def poll(self, operation: Operation) -> PollAnswer:
        host, client = operation.data.get("host", ""), self.http
        if host:
            client = self._cluster_client(host)
        key = self.auth_headers(self.account)
        task = operation.data.get("task", operation.id)
        answer = await client.get(operation.data["path"], answer=BFLResult, params={"id": task}, headers=key)
        result = answer.body
        state = read_state(result.state_word, STATES, provider=self.name)
        if state == "missing":
            raise unknown_task("BFL")
        if state == "moderated":
            return Failed("content_policy_violation", result.error_text(self.http.clean_text))
        if state == "failed":
            return Failed("upstream_error", result.error_text(self.http.clean_text))
        if state == "succeeded":
            done = succeeded_answer(result, kind=operation.data["kind"], usage=operation.data["usage"])
            if done is None:
                raise missing_file("BFL", "file")
            return done
        return Running(progress=result.progress_percent)

    async def balance(self) -> AccountBalance:
        balance = (await self.http.get("/v1/credits", answer=CreditBalance)).body
        return AccountBalance(balance.credits, "credits")

    def _cluster_client(self, host: str) -> UpstreamClient:
        if host not in self._clusters:
            origin = self._origins.get(host) or (f"https://{host}" if is_bfl_host(host) else None)
            if origin is None:
                raise PollFailed("the host that BFL named is no longer among the account's polling_origins")
            self._clusters[host] = self.http.client_for(origin)
        return self._clusters[host]


def poll_location(polling_url: str, *, own: str, others: Collection[str]) -> dict[str, str]:
    """Path, task and host to poll, for ``Operation.data``. Raises ``OutcomeUnknown`` for a host that must not get
    the key.

    ``own`` is the account's address, ``others`` are further hosts that may get the key.
    """
    if not polling_url:
        return {"path": RESULT}
    there, here = urlsplit(polling_url), urlsplit(own)
    task = parse_qs(there.query).get("id", [""])[0]
    location = {"path": there.path if PATH.fullmatch(there.path) else RESULT} | (
        {"task": task} if task else {}
    )
    if (there.scheme, there.netloc) == (here.scheme, here.netloc):
        return location
    if there.netloc in others:
        return {**location, "host": there.netloc}
    if there.scheme == "https" and is_bfl_host(there.netloc):
        # A gateway before BFL has a key of its own, which BFL must not see: poll the gateway.
        return {**location, "host": there.netloc} if is_bfl_host(here.netloc) else location
    raise OutcomeUnknown("BFL took it, but wants to be asked at a host that is not its own")
