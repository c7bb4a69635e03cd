"""What the relays to other gateways share: their tasks, results on the gateway itself, model names that hold options."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import AliasChoices, BaseModel, Field, model_validator

from app.errors import (
    InvalidRequest,
    UnsupportedWish,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
)
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    Account,
    Failed,
    FileKind,
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
    read_options,
)
from app.providers.http import UpstreamClient
from app.providers.inline_files import INLINE, decode_chunks, inline_file
from app.providers.inputs import parse_size, refuse_fields, whole_seconds
from app.providers.reading import (
    COMMON_STATES,
    REASON_NAMES,
    STATE_NAMES,
    Items,
    Percent,
    Text,
    has_text,
    read_state,
    retry_after_of,
    unwrapped,
)

FILE_TYPES: Mapping[FileKind, str] = {"video": "video/mp4", "image": "image/png", "audio": "audio/mpeg"}
# These gateways explain a refusal only in a sentence, in English or in Chinese.
MODERATED_WORDS = ("policy", "policies", "moderation", "sensitive", "violat", "违反", "违规", "审核", "敏感")
NO_ACCOUNT = "No available tokens"
"""The error text of a gateway that has no free account: the request was not accepted. It sends no code for that."""
PLAIN_PATH = re.compile(r"/[A-Za-z0-9\-._~%!$&'()*+,;=:@/]*")

# Families of model names that hold shape, length and quality. Names of the first have a shape only if they say so,
# and are portrait and 10 seconds otherwise.
SORA_VIDEO2 = re.compile(r"(sora_video2)(-portrait|-landscape)?(-hd)?(-15s|-25s)?")
SORA2 = re.compile(r"(sora2(?:pro)?)(-hd)?(-portrait|-landscape)(-10s|-15s|-25s)")
GPT_IMAGE = re.compile(r"(gpt-image)(-portrait|-landscape)?")
NAMED_SECONDS = (10, 15, 25)
HD_FROM = 1000
"""Pixels on the short side."""


class GatewayOptions(BaseModel):
    """``account.options`` of a relay, all optional. Another Filmgate has the first two."""

    idempotency: bool = False
    """The gateway honours ``Idempotency-Key``."""
    cancel: bool = False
    """It has ``POST /v1/tasks/{id}/cancel``."""
    references: int = 8
    """The most images of one request."""
    seconds: tuple[float, float] | None = None
    """Shortest and longest video."""


TASK_NAMES = ("task_id", "id")


class WrappedAnswer(BaseModel):
    """An answer of a gateway's, which some forks put into ``data`` whole."""

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, document: Any) -> Any:
        found = unwrapped(document, names=TASK_NAMES)
        if not isinstance(found, dict):
            return found
        if "status" in cls.model_fields and not has_text(found, *STATE_NAMES):
            found = document  # what has an id there is a file, not the task
        return {name: value for name, value in found.items() if value is not None}


class SubmittedTask(WrappedAnswer):
    """What names a new task, or refuses it."""

    task_id: Text = Field(default="", validation_alias=AliasChoices(*TASK_NAMES))
    error: Any = None
    message: Text = ""


class GatewayTask(WrappedAnswer):
    """What ``GET /v1/tasks/{id}`` answers."""

    status: Text = Field(default="", validation_alias=AliasChoices(*STATE_NAMES))
    progress: Percent = None
    result_urls: Items = []
    error_message: Text = Field(default="", validation_alias=AliasChoices(*REASON_NAMES))


class GatewayRelay(Provider):
    """``base_url`` with or without ``/v1``; the secret goes as a Bearer token."""

    poll_interval = PollInterval(first=2.0, factor=1.3, cap=10.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.settings = read_options(account, GatewayOptions)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        if not account.base_url.strip():
            raise InvalidRequest("base_url must be like https://host", param="base_url")
        return base_url_or(account, "https://host").removesuffix("/v1").removesuffix("/v2")

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        if not self.settings.idempotency:
            return await super().recover(request, submission)
        return await self.start_again(request, submission)

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        if INLINE in file.data:
            for chunk in decode_chunks(file.data[INLINE]):
                yield chunk
            return
        async for chunk in self.download(file.data["path"], what="a result", params=file.data["query"]):
            yield chunk

    def result_file(self, link: str, kind: FileKind) -> ResultFile:
        """A link to the gateway itself is fetched with our key, any other is public. A picture may come in its link."""
        inline = inline_file(link, kind)
        if inline is not None:
            return inline
        base = self.http.base_url
        link = base + link if link.startswith("/") else link
        parts = urlsplit(link)
        bare = link.split("?")[0].split("#")[0]
        path = bare.removeprefix(base)
        if bare.startswith(f"{base}/") and PLAIN_PATH.fullmatch(path) and not path.startswith("//"):
            data = {"path": path, "query": dict(parse_qsl(parts.query, keep_blank_values=True))}
            return ResultFile(kind, FILE_TYPES[kind], data=data)
        return ResultFile(kind, FILE_TYPES[kind], url=link)

    async def poll_task(self, operation: Operation) -> PollAnswer:
        """``poll`` for a gateway with ``GET /v1/tasks/{id}``."""
        answer = await self.http.get(f"/v1/tasks/{quote(operation.id, safe='')}", answer=GatewayTask)
        task, retry_after = answer.body, retry_after_of(answer.headers)
        state = read_state(task.status.strip().lower(), COMMON_STATES, provider=self.name)
        if state == "queued":
            return Queued(retry_after=retry_after)
        if state == "succeeded":
            return self.succeeded_answer(task.result_urls, operation)
        if state in {"failed", "moderated", "cancelled", "expired"}:
            return self.failed_answer(task.error_message, state)
        return Running(progress=task.progress, retry_after=retry_after)

    async def cancel_task(self, operation: Operation) -> bool:
        if not self.settings.cancel:
            return False
        path = f"/v1/tasks/{quote(operation.id, safe='')}/cancel"
        answer = await self.http.post_json(path, {}, answer=GatewayTask, purpose="poll")
        return COMMON_STATES.get(answer.body.status) in {"failed", "cancelled"}

    def succeeded_answer(
        self, links: list[Any], operation: Operation, usage: Mapping[str, Any] | None = None
    ) -> Succeeded:
        kind: FileKind = operation.data.get("kind", "video")
        urls = [link for link in map(_address_of, links) if is_file_address(link)]
        return Succeeded(tuple(self.result_file(url, kind) for url in urls), usage=usage or {})

    def failed_answer(self, message: str, state: str = "failed") -> Failed:
        text = self.http.clean_text(message) or "The upstream did not say why."
        if state in {"cancelled", "expired"}:
            return Failed(state, text)
        return Failed.upstream_error(text, moderated=state == "moderated" or is_moderated(text))


def is_file_address(link: str) -> bool:
    """A link, also one relative to the gateway, or a file in a ``data:`` URI."""
    return link.startswith(("http://", "https://", "data:")) or (
        link.startswith("/") and not link.startswith("//")
    )


def _address_of(entry: Any) -> str:
    """Of a text, or of an object its ``url``."""
    text = entry.get("url") if isinstance(entry, dict) else entry
    return text if isinstance(text, str) else ""


def is_moderated(text: str) -> bool:
    return any(word in text.lower() for word in MODERATED_WORDS)


def busy_or_failed(error: UpstreamFailed) -> UpstreamError:
    """``UpstreamBusy`` for a gateway without a free account, which answers HTTP 500: another gateway may have one."""
    return UpstreamBusy(error.message) if NO_ACCOUNT in error.message else error


def file_kind(kind: Kind) -> FileKind:
    return kind if kind in FILE_TYPES else "image"  # type: ignore[return-value]


def storyboard_prompt(request: GenerationRequest) -> str:
    """The shots in the form that these gateways read from a prompt."""
    return " ".join(f"[{shot.seconds:.1f}s]{shot.prompt}" for shot in request.shots)


def without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    """``fields`` without None, empty strings and empty lists."""
    return {name: value for name, value in fields.items() if value not in (None, "", ()) and value != []}


def is_option_name(model: str) -> bool:
    """Whether the model's name holds options, as ``model_name_for`` writes them."""
    return any(family.fullmatch(model) for family in (SORA_VIDEO2, SORA2, GPT_IMAGE))


def model_name_for(request: GenerationRequest) -> str:
    """The name of ``request.model``'s family that has the requested shape, length and quality. Raises
    ``UpstreamRejected`` when there is none."""
    if match := SORA_VIDEO2.fullmatch(request.model):
        base, shape, hd, length = match.groups(default="")
        wanted, seconds = orientation_of(request), allowed_seconds(request)
        if wanted == "landscape":
            shape = "-landscape"
        elif wanted == "portrait" and shape == "-landscape":
            shape = ""  # a name without a shape is portrait
        length = length if seconds is None else "" if seconds == 10 else f"-{seconds}s"
        return f"{base}{shape}{_quality_suffix(request, hd)}{length}"
    if match := SORA2.fullmatch(request.model):
        base, hd, shape, length = match.groups(default="")
        wanted, seconds, hd = orientation_of(request), allowed_seconds(request), _quality_suffix(request, hd)
        length = f"-{seconds}s" if seconds else length
        if hd and (base != "sora2pro" or length == "-25s"):
            raise UnsupportedWish(f"{request.model} has no high definition", param="size")
        return f"{base}{hd}{f'-{wanted}' if wanted else shape}{length}"
    return _image_name(request)


def orientation_of(request: GenerationRequest) -> str | None:
    """``portrait`` or ``landscape``; None when the client named no shape. Raises ``UnsupportedWish`` for a square."""
    if request.aspect_ratio:
        shape = {"16:9": "landscape", "9:16": "portrait"}.get(request.aspect_ratio)
        param = "aspect_ratio"
    elif request.size:
        width, height = parse_size(request.size)
        shape, param = "landscape" if width > height else "portrait" if height > width else None, "size"
    else:
        return None
    if shape is None:
        raise UnsupportedWish(f"{request.model} makes portrait and landscape only", param=param)
    return shape


def allowed_seconds(request: GenerationRequest) -> int | None:
    """The length in seconds. Raises ``UnsupportedWish`` when it is none of ``NAMED_SECONDS``."""
    seconds = whole_seconds(request)
    if seconds is not None and seconds not in NAMED_SECONDS:
        raise UnsupportedWish(f"{request.model} makes 10, 15 or 25 seconds, not {seconds}", param="seconds")
    return seconds


def wants_hd(request: GenerationRequest) -> bool | None:
    """None when the client named no quality."""
    if request.resolution:
        quality = {"480p": False, "720p": False, "1080p": True, "hd": True}.get(request.resolution.lower())
        if quality is None:
            raise UnsupportedWish(f"{request.model} has no {request.resolution}", param="resolution")
        return quality
    return min(parse_size(request.size)) >= HD_FROM if request.size else None


def _quality_suffix(request: GenerationRequest, hd: str) -> str:
    wanted = wants_hd(request)
    return hd if wanted is None else "-hd" if wanted else ""


def _image_name(request: GenerationRequest) -> str:
    refuse_fields(request, "resolution")
    base = request.model.removesuffix("-portrait").removesuffix("-landscape")
    square = request.aspect_ratio == "1:1" or (request.size and len(set(parse_size(request.size))) == 1)
    if square:
        return base
    shape = orientation_of(request)
    return f"{base}-{shape}" if shape else request.model
