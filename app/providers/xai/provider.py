"""xAI's Grok Imagine (``api.x.ai/v1``): videos, their edits and extensions, pictures, and relayed text."""

import re
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import quote

from app.errors import OutcomeUnknown, PollFailed
from app.generation import GenerationRequest, Kind
from app.providers.addresses import origin_of
from app.providers.base import (
    ANTHROPIC_PATHS,
    Account,
    Capabilities,
    Operation,
    Pace,
    PollAnswer,
    Provider,
    ResultFile,
    Running,
    Submission,
    Succeeded,
)
from app.providers.http import Answer
from app.providers.http_errors import look_refused
from app.providers.openai_compatible.answers import UNKNOWN_STATES
from app.providers.relay_target import RelayTarget
from app.providers.xai import requests
from app.providers.xai.answers import STATES, Pictures, Refusal, Started, Video, failure, result_of

HOST = "https://api.x.ai/v1"
IMAGE_SECONDS = 300.0
VERSIONED = re.compile(r"/v\d+")
NOT_SPOKEN = ANTHROPIC_PATHS | {"images/variations"}


class XAI(Provider):
    """Pictures are made while the request waits, so their addresses go into the receipt."""

    name = "xai"
    tells_progress = True
    verified: ClassVar[str] = "documented"
    auth_form: ClassVar[str] = "Bearer"
    pace = Pace(first=3.0, factor=1.2, cap=15.0)

    @classmethod
    def address(cls, account: Account) -> str:
        origin = origin_of(account, HOST)
        return origin if VERSIONED.search(origin) else f"{origin}/v1"

    def capabilities(self, model: str) -> Capabilities:
        known = requests.model_of(model)
        kinds: frozenset[Kind] = known.kinds if known else frozenset({"text"})
        return Capabilities(
            kinds=kinds,
            roles=known.roles if known else frozenset(),
            seconds=known.seconds if known else None,
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        if request.kind == "image":
            return await self._start_picture(request, submission)
        path, body = requests.video(request)
        answer = await self.http.post_json(path, body, answer=Started, even_if=_refused)
        if answer.status >= 400 or not answer.body.request_id:
            raise self._no(answer)
        return Operation(id=answer.body.request_id)

    async def poll(self, operation: Operation) -> PollAnswer:
        if "pictures" in operation.data:
            files = [ResultFile("image", "image/jpeg", url=link) for link in operation.data["pictures"]]
            return Succeeded(tuple(files), usage=operation.data["usage"])
        # While the video is being made this answers 202, at times without a body.
        answer = await self.http.get(
            f"/videos/{quote(operation.id, safe='')}", answer=Video, even_if=_refused
        )
        video = answer.body
        if answer.status >= 400:
            raise look_refused(answer.status, answer.headers, video.complaint(self._cleaned))
        state = STATES.get(video.status) if video.status else video.unnamed_state
        if state in {"failed", "expired"}:
            return failure(video, self._cleaned)
        if state == "succeeded":
            done = result_of(video)
            if done is None:
                raise PollFailed("xAI says it is done, but names no video")
            return done
        if state is None:
            UNKNOWN_STATES.labels(provider=self.name).inc()
        return Running(progress=video.progress)

    def relay(self, path: str) -> RelayTarget | None:
        path = path.lstrip("/")
        if path in NOT_SPOKEN:
            return None
        return RelayTarget(self.http.url(f"/{path}"), self.credentials(self.account))

    async def _start_picture(self, request: GenerationRequest, submission: Submission) -> Operation:
        path, body = requests.picture(request)
        answer = await self.http.post_json(
            path, body, answer=Pictures, timeout=IMAGE_SECONDS, even_if=_refused
        )
        links = answer.body.links
        if answer.status >= 400 or not links:
            raise self._no(answer)
        return Operation(
            id=f"image_{submission.idempotency_key}", data={"pictures": links, "usage": answer.body.cost}
        )

    def _no(self, answer: Answer[Started] | Answer[Pictures]) -> Exception:
        if not answer.body.refused:
            return OutcomeUnknown("xAI accepted the request without naming the work")
        return answer.body.refusal(answer.status, answer.headers, self._cleaned)

    @property
    def _cleaned(self) -> Callable[[str], str]:
        return self.http.cleaned


def _refused(said: Refusal) -> bool:
    return said.refused
