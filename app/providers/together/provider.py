"""Together (``api.together.xyz``): videos of many vendors behind one API, and relayed text."""

from urllib.parse import quote

from app.generation import GenerationRequest
from app.providers.base import (
    Account,
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
from app.providers.http_errors import poll_refused, submit_error, submit_refused, unnamed_task
from app.providers.reading import ErrorDetail, read_state
from app.providers.together.answers import (
    STATES,
    VideoJob,
    error_meaning,
    failed_answer,
    succeeded_answer,
)
from app.providers.together.requests import ROLES, facts_of, request_body

HOST = "https://api.together.xyz"
CONTENT_TYPES = {"WEBM": "video/webm"}


class TogetherProvider(Provider):
    name = "together"
    title = "Together AI"
    docs_url = "https://docs.together.ai/reference/create-videos"
    sample_models = ("google/veo-3.0", "black-forest-labs/FLUX-3")
    poll_interval = PollInterval(first=5.0, factor=1.3, cap=20.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/v1").removesuffix("/v2")

    def capabilities(self, model: str) -> Capabilities:
        facts = facts_of(model)
        if facts is not None:
            return facts.capabilities()
        return Capabilities(kinds=self.account.kinds or frozenset({"video", "text"}), roles=ROLES)

    def check(self, request: GenerationRequest) -> None:
        request_body(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = request_body(request)
        answer = await self.http.post_json("/v2/videos", body, answer=VideoJob, even_if=VideoJob.is_error)
        job = answer.body
        if job.is_error():
            error, status, headers = self._clean_error(job), answer.status, answer.headers
            meaning = error_meaning(status, error)
            if meaning is None and status >= 400:
                raise submit_refused(status, headers, error)
            raise submit_error(meaning, error.message, status=status, headers=headers)
        if not job.id:
            raise unnamed_task("Together")
        form = str(body.get("output_format", "")).upper()
        return Operation(id=job.id, data={"type": CONTENT_TYPES.get(form, "video/mp4")})

    async def poll(self, operation: Operation) -> PollAnswer:
        path = f"/v2/videos/{quote(operation.id, safe='')}"
        answer = await self.http.get(path, answer=VideoJob, even_if=VideoJob.is_error)
        job = answer.body
        if job.is_error():
            raise poll_refused(answer.status, answer.headers, self._clean_error(job))
        state = read_state(job.status, STATES, provider=self.name)
        if state == "queued":
            return Queued()
        if state == "succeeded":
            return succeeded_answer(job, operation.data["type"])
        if state == "running":
            return Running()
        error = self._clean_error(job)
        return failed_answer(error, error.message, state)

    def relay_target(self, path: str) -> RelayTarget | None:
        return RelayTarget(self.http.absolute_url("/v1/" + path.lstrip("/")), self.auth_headers(self.account))

    def _clean_error(self, job: VideoJob) -> ErrorDetail:
        error = job.first_error()
        param = self.http.clean_text(error.param) if error.param else None
        return ErrorDetail(self.http.clean_text(error.message), code=error.code, param=param)
