"""Zhipu (``api.z.ai``, in China ``open.bigmodel.cn``): CogVideoX and Vidu, and relayed text."""

from urllib.parse import quote, urlsplit

from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    RelayTarget,
    Running,
    Submission,
    base_url_or,
)
from app.providers.http_errors import poll_error, submit_error, unnamed_task
from app.providers.reading import read_state
from app.providers.zhipu.answers import CODES, STATES, VideoTask, failed_answer, succeeded_answer
from app.providers.zhipu.requests import ROLES, facts_of, request_body

HOST = "https://api.z.ai"
API = "/api/paas/v4"


class ZhipuProvider(Provider):
    """Keys of the platform in China need ``base_url = https://open.bigmodel.cn``.

    Our idempotency key is sent as ``request_id``. Zhipu refuses a second request of the same id (1231), but does not
    say that a task can be found by it, so a lost answer is not looked up.
    """

    name = "zhipu"
    title = "Zhipu (Z.ai, BigModel)"
    docs_url = "https://docs.z.ai/api-reference/video/generate-video"
    sample_models = ("cogvideox-3", "viduq1-text", "vidu2-reference")
    poll_interval = PollInterval(first=5.0, factor=1.3, cap=20.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        origin = base_url_or(account, HOST)
        return origin if urlsplit(origin).path else origin + API

    def capabilities(self, model: str) -> Capabilities:
        facts = facts_of(model)
        if facts is not None:
            return facts.capabilities(native_styles=frozenset(facts.traits.get("styles", ())))
        return Capabilities(kinds=self.account.kinds or frozenset({"video", "text"}), roles=ROLES)

    def check(self, request: GenerationRequest) -> None:
        request_body(request, request_id="")

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = request_body(request, request_id=submission.idempotency_key)
        answer = await self.http.post_json(
            "/videos/generations", body, answer=VideoTask, even_if=VideoTask.is_error
        )
        task = answer.body
        if task.is_error():
            meaning = CODES[task.first_error().code]
            raise submit_error(meaning, self._error_text(task), status=answer.status, headers=answer.headers)
        if not task.id:
            raise unnamed_task("Zhipu")
        return Operation(id=task.id)

    async def poll(self, operation: Operation) -> PollAnswer:
        path = f"/async-result/{quote(operation.id, safe='')}"
        answer = await self.http.get(path, answer=VideoTask, even_if=VideoTask.is_error)
        task = answer.body
        if task.is_error():
            meaning = CODES[task.first_error().code]
            raise poll_error(meaning, self._error_text(task), status=answer.status, headers=answer.headers)
        state = read_state(task.task_status, STATES, provider=self.name)
        if state == "succeeded":
            return succeeded_answer(task)
        if state == "failed":
            return failed_answer(task, self.http.clean_text(task.first_error().message))
        return Running()

    def relay_target(self, path: str) -> RelayTarget | None:
        return RelayTarget(self.http.absolute_url("/" + path.lstrip("/")), self.auth_headers(self.account))

    def _error_text(self, task: VideoTask) -> str:
        error = task.first_error()
        return self.http.clean_text(f"{error.message} ({error.code})")
