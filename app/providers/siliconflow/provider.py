"""SiliconFlow (``api.siliconflow.cn``, abroad ``api.siliconflow.com``): videos of open models, and relayed text."""

from urllib.parse import urlsplit

from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    AccountBalance,
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
from app.providers.http_errors import poll_error, submit_error, unnamed_task
from app.providers.reading import read_state
from app.providers.siliconflow.answers import (
    CODES,
    STATES,
    SiliconFlowAnswer,
    SubmitAnswer,
    UserInfo,
    VideoStatus,
    failed_answer,
    succeeded_answer,
)
from app.providers.siliconflow.requests import facts_of, request_body

HOST = "https://api.siliconflow.cn/v1"


class SiliconFlowProvider(Provider):
    """Keys of the platform abroad need ``base_url = https://api.siliconflow.com/v1``."""

    name = "siliconflow"
    title = "SiliconFlow"
    docs_url = "https://docs.siliconflow.cn/cn/api-reference/videos/videos_submit"
    sample_models = ("Wan-AI/Wan2.2-T2V-A14B", "Wan-AI/Wan2.2-I2V-A14B")
    # A link lives for ten minutes after the work is done: a pause must stay well below that.
    poll_interval = PollInterval(first=5.0, factor=1.3, cap=20.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        origin = base_url_or(account, HOST)
        return origin if urlsplit(origin).path else f"{origin}/v1"

    def capabilities(self, model: str) -> Capabilities:
        facts = facts_of(model)
        if facts is not None:
            return facts.capabilities()
        kinds = self.account.kinds or frozenset({"video", "text"})
        return Capabilities(kinds=kinds, roles=frozenset({"first_frame"}))

    def check(self, request: GenerationRequest) -> None:
        request_body(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        answer = await self.http.post_json(
            "/video/submit", request_body(request), answer=SubmitAnswer, even_if=SubmitAnswer.is_error
        )
        if answer.body.is_error():
            text, meaning = self._error_text(answer.body), CODES[answer.body.code]
            raise submit_error(meaning, text, status=answer.status, headers=answer.headers)
        if not answer.body.requestId:
            raise unnamed_task(self.title)
        return Operation(id=answer.body.requestId)

    async def poll(self, operation: Operation) -> PollAnswer:
        answer = await self.http.post_json(
            "/video/status",
            {"requestId": operation.id},
            answer=VideoStatus,
            purpose="poll",
            even_if=VideoStatus.is_error,
        )
        video = answer.body
        if video.is_error():
            text, meaning = self._error_text(video), CODES[video.code]
            raise poll_error(meaning, text, status=answer.status, headers=answer.headers)
        state = read_state(video.status, STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            return succeeded_answer(video)
        if state == "failed":
            return failed_answer(self.http.clean_text(video.reason))
        return Running()

    def relay_target(self, path: str) -> RelayTarget | None:
        return RelayTarget(self.http.absolute_url("/" + path.lstrip("/")), self.auth_headers(self.account))

    async def balance(self) -> AccountBalance:
        money = (await self.http.get("/user/info", answer=UserInfo)).body.data
        abroad = (urlsplit(self.http.base_url).hostname or "").endswith(".com")
        return AccountBalance(money.totalBalance, "USD" if abroad else "CNY")

    def _error_text(self, answer: SiliconFlowAnswer) -> str:
        return self.http.clean_text(f"{answer.message} ({answer.code})")
