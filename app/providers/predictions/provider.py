"""WaveSpeed, Atlas Cloud and MuAPI: models of many vendors behind one key; work there is called a prediction."""

from collections.abc import Mapping
from typing import Any

from app.errors import PollFailed, UpstreamError
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    Account,
    AccountBalance,
    AccountCheck,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Queued,
    RelayTarget,
    Running,
    Submission,
    base_url_or,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import submit_error, submit_refused, unnamed_task
from app.providers.http_messages import UpstreamAnswer
from app.providers.predictions.answers import (
    STATES,
    BalanceAnswer,
    PredictionsAnswer,
    failed_answer,
    refusal_meaning,
    succeeded_answer,
)
from app.providers.predictions.requests import endpoint_and_input, model_of
from app.providers.predictions.services import service_of
from app.providers.reading import ErrorDetail, read_error, read_state

VIDEO: frozenset[Kind] = frozenset({"video"})


class PredictionsProvider(Provider):
    """A model is the service's own name of an endpoint (``kwaivgi/kling-v3.0-std/text-to-video``), or a family's bare
    name, for which the inputs choose the endpoint.

    ``account.options``: ``api`` (``wavespeed``, ``atlascloud``, ``muapi``), where ``base_url`` does not say it.
    """

    name = "predictions"
    title = "WaveSpeed, Atlas Cloud, MuAPI"
    docs_url = "https://wavespeed.ai/docs/submit-task"
    auth_scheme = "Bearer, or x-api-key"
    sample_models = ("bytedance/seedance-2.0", "kwaivgi/kling-v3.0-std")
    poll_interval = PollInterval(first=3.0, factor=1.3, cap=20.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self._service = service_of(account)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        origin = base_url_or(account, service_of(account).host)
        return origin.removesuffix("/v1").removesuffix("/v3").removesuffix("/api")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        header = service_of(account).key_header
        return {header: account.secret} if header and account.secret else super().auth_headers(account)

    def capabilities(self, model: str) -> Capabilities:
        known = model_of(model, self._service)
        if known.facts is not None:
            return known.facts.capabilities()
        kinds: frozenset[Kind] = frozenset({"video", "text"}) if self._service.relays_text else VIDEO
        return Capabilities(kinds=self.account.kinds & kinds or kinds, roles=known.family.roles)

    def check(self, request: GenerationRequest) -> None:
        self._endpoint_and_input(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        endpoint, fields = self._endpoint_and_input(request)
        body = fields if self._service.names_model_in_path else {"model": endpoint, **fields}
        answer = await self.http.post_json(
            self._service.submit_path_of(endpoint),
            body,
            answer=PredictionsAnswer,
            even_if=PredictionsAnswer.has_error,
        )
        prediction = answer.body.prediction
        if answer.status >= 400 or not (prediction.name or answer.body.says_success):
            raise self._refusal(answer)
        if not prediction.name:
            raise unnamed_task(self._service.title)
        return Operation(id=prediction.name)

    async def poll(self, operation: Operation) -> PollAnswer:
        path = self._service.poll_path_of(operation.id)
        prediction = (await self.http.get(path, answer=PredictionsAnswer)).body.prediction
        state = read_state(prediction.status, STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            return succeeded_answer(prediction, self._service.title)
        if state == "running":
            return Running()
        error = read_error({"error": prediction.error}) if prediction.error else None
        message = error.message if error else f"{self._service.title} reports: {prediction.status}"
        return failed_answer(prediction, self.http.clean_text(message), state)

    def relay_target(self, path: str) -> RelayTarget | None:
        if not self._service.relays_text:
            return None
        return RelayTarget(self.http.absolute_url("/v1/" + path.lstrip("/")), self.auth_headers(self.account))

    async def balance(self) -> AccountBalance | None:
        if not self._service.balance_path:
            return None
        left = (await self.http.get(self._service.balance_path, answer=BalanceAnswer)).body.left
        if left is None:
            raise PollFailed(f"{self._service.title} answered without a balance")
        return AccountBalance(left, "USD")

    async def check_account(self) -> AccountCheck:
        if self._service.balance_path:
            return await super().check_account()
        try:
            return await self._check_models_list(self.relay_target("models"))
        except UpstreamError as error:
            return AccountCheck("silent", error.message)

    def _endpoint_and_input(self, request: GenerationRequest) -> tuple[str, dict[str, Any]]:
        return endpoint_and_input(request, model_of(request.model, self._service))

    def _refusal(self, answer: UpstreamAnswer[PredictionsAnswer]) -> UpstreamError:
        """An error that comes with 200 has its status in ``code``."""
        error = answer.body.first_error() or ErrorDetail(f"{self._service.title} gave no reason.")
        status, code = answer.status, answer.body.code
        if status < 400:
            status = int(code) if code.isdigit() and 400 <= int(code) < 600 else 500
        error = ErrorDetail(self.http.clean_text(error.message), code=error.code, param=error.param)
        meaning = refusal_meaning(status, error, by_path=self._service.names_model_in_path)
        if meaning is None:
            return submit_refused(status, answer.headers, error)
        return submit_error(meaning, error.message, status=status, headers=answer.headers)
