"""Seedance and Seedream on Volcengine Ark and on BytePlus ModelArk, which have the same API."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from pydantic import BaseModel

from app.errors import OutcomeUnknown
from app.generation import GenerationRequest, Kind
from app.providers.ark import images, requests
from app.providers.ark.answers import ArkAnswer, ArkTask, ImagesAnswer, TaskList, poll_answer
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
    Submission,
    Succeeded,
    base_url_or,
    read_options,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import missing_file
from app.providers.http_messages import PICTURE_SECONDS
from app.providers.missing_submissions import MissingSubmissions

HOST = "https://ark.cn-beijing.volces.com/api/v3"
"""BytePlus: ``https://ark.ap-southeast.bytepluses.com/api/v3``."""
TASKS = "/contents/generations/tasks"
PICTURES = "/images/generations"
LIST_PAGE = 500
MOST_PAGES = 4
MARK = "filmgate-"
MISSING_PATHS = ANTHROPIC_PATHS | {"images/edits", "images/variations"}
ALL_KINDS: frozenset[Kind] = frozenset({"video", "image", "text"})


class ArkOptions(BaseModel):
    """``account.options``, all optional."""

    mark: bool = True
    """Send our own id of a task as its ``safety_identifier``. The list of tasks returns it, so a submission whose
    answer was lost can be found; a client's own is refused. Off: the client's own is sent."""
    lost_after_seconds: float = 120
    """How long a submission must be missing from the list before it counts as never arrived."""
    image_seconds: float = PICTURE_SECONDS
    """How long an images call may take: its answer holds the picture."""


class ArkProvider(Provider):
    name = "ark"
    title = "Volcengine Ark and BytePlus ModelArk"
    docs_url = "https://www.volcengine.com/docs/82379/1520757"
    verified = "verified against volcengine-ark-runtime 5.0.54"
    media_schemes = frozenset({"asset"})
    sample_models = ("doubao-seedance-2-5-260628", "doubao-seedream-5-0-260128")
    poll_interval = PollInterval(first=5.0, factor=1.2, cap=20.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.options = read_options(account, ArkOptions)
        self._absences = MissingSubmissions()

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        address = base_url_or(account, HOST)
        return address if address.endswith("/api/v3") else f"{address}/api/v3"

    def capabilities(self, model: str) -> Capabilities:
        known = requests.find_video(model)
        if (known is not None and known.kind == "image") or _is_picture_name(model):
            traits = images.traits_of(known)
            image: frozenset[Kind] = frozenset({"image"})
            able = known.capabilities() if known else Capabilities(kinds=image, roles=images.PICTURES)
            return replace(able, max_pixels=traits.max_pixels)
        if known is not None:
            return known.capabilities(cancel=True, idempotency_key=self.options.mark)
        kinds: frozenset[Kind] = (
            frozenset({"video"}) if "seedance" in model.lower() else self.account.kinds or ALL_KINDS
        )
        return Capabilities(kinds=kinds, roles=requests.ROLES, cancel=True, idempotency_key=self.options.mark)

    def check(self, request: GenerationRequest) -> None:
        if request.kind == "image":
            images.image_body(request)
        else:
            requests.video_body(request, mark=MARK if self.options.mark else None)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        if request.kind == "image":
            return await self._start_image(request, submission)
        body = requests.video_body(request, mark=self._submission_mark(submission))
        answer = await self.http.post_json(TASKS, body, answer=ArkAnswer, even_if=ArkAnswer.is_error)
        if answer.body.is_error() or not answer.body.id:
            raise answer.body.submit_error(answer.status, answer.headers, self._error_text(answer.body))
        return Operation(id=answer.body.id)

    async def poll(self, operation: Operation) -> PollAnswer:
        if "images" in operation.data:
            files = [ResultFile("image", "image/jpeg", url=link) for link in operation.data["images"]]
            return Succeeded(tuple(files), usage=images.usage_of(operation.data.get("usage", {})))
        task = await self._read_task(operation)
        result = poll_answer(task, self._error_text(task))
        if result is None:
            raise missing_file("Ark")
        return result

    async def cancel(self, operation: Operation) -> bool:
        # DELETE cancels a queued task, but removes the record and result of one that has ended.
        # https://www.volcengine.com/docs/82379/1521720
        if "images" in operation.data or (await self._read_task(operation)).status != "queued":
            return False
        return await self.http.delete(_task_path(operation))

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        mark = self._submission_mark(submission)
        if request.kind == "image" or mark is None:
            return await super().recover(request, submission)
        marked = False
        for number in range(1, MOST_PAGES + 1):
            page = await self._read_page(number)
            for task in page.items:
                if task.safety_identifier == mark and task.id:
                    return Operation(id=task.id)
                marked = marked or task.safety_identifier.startswith(MARK)
            if number * LIST_PAGE >= page.total:
                self._confirm_missing(mark, marked=marked)
                return None
        raise OutcomeUnknown("Ark's list is too long to search it for the submission")

    def relay_target(self, path: str) -> RelayTarget | None:
        path = path.lstrip("/")
        if path in MISSING_PATHS:
            return None
        return RelayTarget(self.http.absolute_url(f"/{path}"), self.auth_headers(self.account))

    async def _start_image(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = images.image_body(request)
        answer = await self.http.post_json(
            PICTURES,
            body,
            answer=ImagesAnswer,
            timeout=self.options.image_seconds,
            even_if=ArkAnswer.is_error,
        )
        links = answer.body.image_urls()
        if not links or answer.status >= 400:
            refusal = ArkAnswer(error=answer.body.first_error())
            raise refusal.submit_error(answer.status, answer.headers, self._error_text(refusal))
        # Only this answer has the links, so they are kept with the operation.
        return Operation(
            id=f"image_{submission.idempotency_key}", data={"images": links, "usage": answer.body.usage}
        )

    async def _read_task(self, operation: Operation) -> ArkTask:
        answer = await self.http.get(_task_path(operation), answer=ArkTask, even_if=ArkAnswer.is_error)
        if answer.status >= 400:
            raise answer.body.poll_error(answer.status, answer.headers, self._error_text(answer.body))
        return answer.body

    async def _read_page(self, number: int) -> TaskList:
        page: Mapping[str, int] = {"page_num": number, "page_size": LIST_PAGE}
        return (await self.http.get(TASKS, answer=TaskList, params=page)).body

    def _confirm_missing(self, mark: str, *, marked: bool) -> None:
        """Returns when the submission never arrived: the list shows marks, but has lacked this one for a while."""
        self._absences.confirm_missing(
            mark, after=self.options.lost_after_seconds, otherwise="Ark does not list the task yet"
        )
        if not marked:
            raise OutcomeUnknown(
                "Ark's list shows none of our marks, so it can't tell whether the task arrived"
            )

    def _submission_mark(self, submission: Submission) -> str | None:
        """Ark takes 64 characters, and asks for identifiers that can't be traced to a person."""
        if not self.options.mark:
            return None
        return MARK + hashlib.sha256(submission.idempotency_key.encode()).hexdigest()[:48]

    def _error_text(self, answer: ArkAnswer) -> str:
        error = answer.error
        return self.http.clean_text(error.message or error.code) if error else ""


def _is_picture_name(model: str) -> bool:
    return "seedream" in model.lower() or "seededit" in model.lower()


def _task_path(operation: Operation) -> str:
    return f"{TASKS}/{quote(operation.id, safe='')}"
