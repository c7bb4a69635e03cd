"""xAI's Grok Imagine (``api.x.ai/v1``): videos, edits, extensions, images, and relayed text."""

import re
from collections.abc import Callable
from urllib.parse import quote

from app.errors import OutcomeUnknown, PollFailed
from app.generation import GenerationRequest
from app.providers.base import (
    ANTHROPIC_PATHS,
    Account,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    RelayTarget,
    ResultFile,
    Running,
    Submission,
    Succeeded,
    base_url_or,
)
from app.providers.http_errors import poll_refused
from app.providers.http_messages import PICTURE_SECONDS, UpstreamAnswer
from app.providers.reading import read_state
from app.providers.xai import requests
from app.providers.xai.answers import (
    STATES,
    ImagesAnswer,
    SubmitAnswer,
    VideoAnswer,
    XaiAnswer,
    failed_answer,
    succeeded_answer,
)

HOST = "https://api.x.ai/v1"
VERSIONED = re.compile(r"/v\d+")
UNSUPPORTED_PATHS = ANTHROPIC_PATHS | {"images/variations"}


class XAIProvider(Provider):
    """An image request answers with the finished images, so their URLs are stored in the operation."""

    name = "xai"
    title = "xAI"
    docs_url = "https://docs.x.ai/developers/model-capabilities/video"
    sample_models = ("grok-imagine-video", "grok-imagine-video-1.5", "grok-imagine-image-2.0")
    reports_progress = True
    poll_interval = PollInterval(first=3.0, factor=1.2, cap=15.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        origin = base_url_or(account, HOST)
        return origin if VERSIONED.search(origin) else f"{origin}/v1"

    def capabilities(self, model: str) -> Capabilities:
        if not model:
            return Capabilities(kinds=frozenset({"text", "image", "video"}))
        known = requests.model_of(model)
        return known.capabilities() if known else Capabilities(kinds=frozenset({"text"}))

    def check(self, request: GenerationRequest) -> None:
        if request.kind == "image":
            requests.image_path_and_body(request)
        else:
            requests.video_path_and_body(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        if request.kind == "image":
            return await self._start_image(request, submission)
        path, body = requests.video_path_and_body(request)
        answer = await self.http.post_json(path, body, answer=SubmitAnswer, even_if=_is_refused)
        if answer.status >= 400 or not answer.body.request_id:
            raise self._refusal_error(answer)
        return Operation(id=answer.body.request_id)

    async def poll(self, operation: Operation) -> PollAnswer:
        if "pictures" in operation.data:
            files = [ResultFile("image", "image/jpeg", url=link) for link in operation.data["pictures"]]
            return Succeeded(tuple(files), usage=operation.data["usage"])
        # While the video is being made xAI answers 202, sometimes without a body.
        answer = await self.http.get(
            f"/videos/{quote(operation.id, safe='')}", answer=VideoAnswer, even_if=_is_refused
        )
        video = answer.body
        if answer.status >= 400:
            raise poll_refused(answer.status, answer.headers, video.first_error(self._clean_text))
        state = (
            read_state(video.status, STATES, provider=self.name)
            if video.status
            else video.state_without_status
        )
        if state in {"failed", "expired"}:
            return failed_answer(video, self._clean_text)
        if state == "succeeded":
            done = succeeded_answer(video)
            if done is None:
                raise PollFailed("xAI reports success without a video URL")
            return done
        return Running(progress=video.progress)

    def relay_target(self, path: str) -> RelayTarget | None:
        path = path.lstrip("/")
        if path in UNSUPPORTED_PATHS:
            return None
        return RelayTarget(self.http.absolute_url(f"/{path}"), self.auth_headers(self.account))

    async def _start_image(self, request: GenerationRequest, submission: Submission) -> Operation:
        path, body = requests.image_path_and_body(request)
        answer = await self.http.post_json(
            path, body, answer=ImagesAnswer, timeout=PICTURE_SECONDS, even_if=_is_refused
        )
        links = answer.body.image_urls
        if answer.status >= 400 or not links:
            raise self._refusal_error(answer)
        return Operation(
            id=f"image_{submission.idempotency_key}",
            data={"pictures": links, "usage": answer.body.billed_cost},
        )

    def _refusal_error(
        self, answer: UpstreamAnswer[SubmitAnswer] | UpstreamAnswer[ImagesAnswer]
    ) -> Exception:
        if not answer.body.is_error:
            return OutcomeUnknown("xAI accepted the request without a request id")
        return answer.body.submit_error(answer.status, answer.headers, self._clean_text)

    @property
    def _clean_text(self) -> Callable[[str], str]:
        return self.http.clean_text


def _is_refused(answer: XaiAnswer) -> bool:
    return answer.is_error
