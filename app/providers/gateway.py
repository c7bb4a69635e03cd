"""What the relays to other gateways share: base URL, results on the gateway itself, tasks, lost answers."""

import re
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import BaseModel

from app.errors import (
    InvalidRequest,
    PollFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRejected,
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
from app.providers.inputs import parse_size, refuse_fields, whole_seconds
from app.providers.reading import COMMON_STATES, UNKNOWN_STATES, Items, Percent, Text, retry_after_of

TYPES: Mapping[FileKind, str] = {"video": "video/mp4", "image": "image/png", "audio": "audio/mpeg"}
# These gateways tell of a refusal only in a sentence, in English or in Chinese.
MODERATED_WORDS = ("policy", "policies", "moderation", "sensitive", "violat", "违反", "违规", "审核", "敏感")
NO_ACCOUNT = "No available tokens"
"""The text that such a gateway's error has in place of a code: nobody took the request."""
OLD = re.compile(r"(sora_video2)(-portrait|-landscape)?(-hd)?(-15s|-25s)?")
NEW = re.compile(r"(sora2(?:pro)?)(-hd)?(-portrait|-landscape)(-10s|-15s|-25s)")
PICTURE = re.compile(r"(gpt-image)(-portrait|-landscape)?")
SECONDS = (10, 15, 25)
HD_FROM = 1000
"""Pixels on the short side."""
PLAIN_PATH = re.compile(r"/[A-Za-z0-9\-._~%!$&'()*+,;=:@/]*")


class GatewayOptions(BaseModel):
    """``account.options`` of a relay, all optional. Another Filmgate does both of the first two."""

    idempotency: bool = False
    """The gateway honours ``Idempotency-Key``."""
    cancel: bool = False
    """It has ``POST /v1/tasks/{id}/cancel``."""
    references: int = 8
    """How many images it takes for one piece of work."""
    seconds: tuple[float, float] | None = None
    """Shortest and longest video."""


class RelayedTask(BaseModel):
    """What ``GET /v1/tasks/{id}`` answers."""

    status: Text = ""
    progress: Percent = None
    result_urls: Items = []
    error_message: Text = ""


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
        try:
            return await self.start(request, submission)
        except UpstreamRejected:
            raise
        except UpstreamError as error:
            # "Not accepted" is said of this second copy only: the first may be running.
            raise PollFailed(f"asked again: {error.message}", retry_after=error.retry_after) from error

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        async with self.http.open_download(file.data["path"], params=file.data["query"]) as download:
            if download.content_type in {"application/json", "text/html"}:
                raise PollFailed(f"upstream answered {download.content_type} in place of a result")
            async for chunk in download.chunks:
                yield chunk

    def result_file(self, link: str, kind: FileKind) -> ResultFile:
        """A link on the gateway itself is asked for with our key, any other is public."""
        base, parts = self.http.base_url, urlsplit(link)
        bare = link.split("?")[0].split("#")[0]
        path = bare.removeprefix(base)
        if bare.startswith(f"{base}/") and PLAIN_PATH.fullmatch(path) and not path.startswith("//"):
            data = {"path": path, "query": dict(parse_qsl(parts.query, keep_blank_values=True))}
            return ResultFile(kind, TYPES[kind], data=data)
        return ResultFile(kind, TYPES[kind], url=link)

    async def poll_task(self, operation: Operation) -> PollAnswer:
        """Look at ``/v1/tasks/{id}``."""
        answer = await self.http.get(f"/v1/tasks/{quote(operation.id, safe='')}", answer=RelayedTask)
        task, pace = answer.body, retry_after_of(answer.headers)
        state = COMMON_STATES.get(task.status.strip().lower())
        if state == "queued":
            return Queued(retry_after=pace)
        if state == "succeeded":
            return self.succeeded_answer(task.result_urls, operation)
        if state in {"failed", "cancelled", "expired"}:
            return self.failed_answer(task.error_message, state)
        if state is None:
            UNKNOWN_STATES.labels(provider=self.name).inc()
        return Running(progress=task.progress, retry_after=pace)

    async def cancel_task(self, operation: Operation) -> bool:
        if not self.settings.cancel:
            return False
        path = f"/v1/tasks/{quote(operation.id, safe='')}/cancel"
        answer = await self.http.post_json(path, {}, answer=RelayedTask, purpose="look")
        return COMMON_STATES.get(answer.body.status) in {"failed", "cancelled"}

    def succeeded_answer(
        self, links: list[Any], operation: Operation, usage: Mapping[str, Any] | None = None
    ) -> Succeeded:
        kind: FileKind = operation.data.get("kind", "video")
        named = [link for link in links if isinstance(link, str) and link.startswith(("http://", "https://"))]
        return Succeeded(tuple(self.result_file(link, kind) for link in named), usage=usage or {})

    def failed_answer(self, said: str, state: str = "failed") -> Failed:
        text = self.http.clean_text(said) or "The upstream did not say why."
        if state in {"cancelled", "expired"}:
            return Failed(state, text)
        return Failed("content_policy_violation" if is_moderated(text) else "upstream_error", text)


def is_moderated(text: str) -> bool:
    return any(word in text.lower() for word in MODERATED_WORDS)


def busy_or_failed(error: UpstreamFailed) -> UpstreamError:
    """A gateway without a free account says so in an HTTP 500; another gateway may have one."""
    return UpstreamBusy(error.message) if NO_ACCOUNT in error.message else error


def file_kind(kind: Kind) -> FileKind:
    return kind if kind in TYPES else "image"  # type: ignore[return-value]


def storyboard_prompt(request: GenerationRequest) -> str:
    """The shots as these gateways read them from a prompt."""
    return " ".join(f"[{shot.seconds:.1f}s]{shot.prompt}" for shot in request.shots)


def without_empty(fields: Mapping[str, Any], empty: Collection[Any] = (None, "", ())) -> dict[str, Any]:
    """``fields`` that hold something."""
    return {name: value for name, value in fields.items() if value not in empty and value != []}


def is_option_name(model: str) -> bool:
    """Whether ``named`` can say a wish by this model's name."""
    return any(family.fullmatch(model) for family in (OLD, NEW, PICTURE))


def model_name_for(request: GenerationRequest) -> str:
    """The name in ``request.model``'s family that says its wishes. Raises ``UpstreamRejected``."""
    if found := OLD.fullmatch(request.model):
        base, way, hd, length = found.groups(default="")
        shape, seconds = orientation_of(request), allowed_seconds(request)
        if shape:  # a name without a shape is portrait
            way = "-landscape" if shape == "landscape" else "-portrait" if way == "-portrait" else ""
        length = length if seconds is None else "" if seconds == 10 else f"-{seconds}s"
        return f"{base}{way}{_quality_suffix(request, hd)}{length}"
    if found := NEW.fullmatch(request.model):
        base, hd, way, length = found.groups(default="")
        shape, seconds, hd = orientation_of(request), allowed_seconds(request), _quality_suffix(request, hd)
        length = f"-{seconds}s" if seconds else length
        if hd and (base != "sora2pro" or length == "-25s"):
            raise UpstreamRejected(f"{request.model} has no high definition", param="size")
        return f"{base}{hd}{f'-{shape}' if shape else way}{length}"
    return _image_name(request)


def orientation_of(request: GenerationRequest) -> str | None:
    """``portrait`` or ``landscape``; None when the client named no shape. A square can't be said."""
    if request.aspect_ratio:
        shape = {"16:9": "landscape", "9:16": "portrait"}.get(request.aspect_ratio)
        param = "aspect_ratio"
    elif request.size:
        width, height = parse_size(request.size)
        shape, param = "landscape" if width > height else "portrait" if height > width else None, "size"
    else:
        return None
    if shape is None:
        raise UpstreamRejected(f"{request.model} makes portrait and landscape only", param=param)
    return shape


def allowed_seconds(request: GenerationRequest) -> int | None:
    """The length, when it is one that these gateways have a word for. Raises ``UpstreamRejected``."""
    seconds = whole_seconds(request)
    if seconds is not None and seconds not in SECONDS:
        raise UpstreamRejected(f"{request.model} makes 10, 15 or 25 seconds, not {seconds}", param="seconds")
    return seconds


def wants_hd(request: GenerationRequest) -> bool | None:
    """None when the client named no quality."""
    if request.resolution:
        quality = {"480p": False, "720p": False, "1080p": True, "hd": True}.get(request.resolution.lower())
        if quality is None:
            raise UpstreamRejected(f"{request.model} has no {request.resolution}", param="resolution")
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
