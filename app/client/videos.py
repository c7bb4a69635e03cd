"""`client.videos`: the methods of openai-python with their arguments."""

from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeAlias, TypeVar, Unpack, cast
from urllib.parse import quote

import httpx2

from .calls import Call, FileTypes, Options, make_call, read_pause
from .errors import ClientError
from .models import Character, Content, Model, Video, VideoDeleted, VideoPage, VideoQuote

if TYPE_CHECKING:
    from .clients import BaseClient, Filmgate

Given = ParamSpec("Given")
Result = TypeVar("Result")
Answer = TypeVar("Answer", bound=Model)
Reference: TypeAlias = FileTypes | Mapping[str, str] | str
"""A file, an address, a data URI or base64; ``{"image_url": …}``, or ``{"id": …}`` of a finished video."""


class Creation(Options, total=False):
    """The optional arguments of ``create``."""

    input_reference: Reference | list[Reference] | None
    max_cost: float | str | None
    """The most that it may cost, in US dollars."""
    model: str | None
    seconds: str | int | None
    size: str | None


CREATION_FIELDS = ("model", "seconds", "size", "input_reference", "max_cost")


class Listing(Options, total=False):
    """The arguments of ``list``."""

    after: str | None
    limit: int | None
    order: Literal["asc", "desc"] | None


def _path_of(name: str, *, folder: str = "", rest: str = "") -> str:
    if not name:
        raise ValueError("the id must not be empty")
    return f"/videos{folder}/{quote(name, safe='')}{rest}"


def _read_answer(response: httpx2.Response, model: type[Answer]) -> Answer:
    try:
        answer = model(response.json())
    except (ValueError, KeyError, TypeError) as error:
        raise ClientError(f"The answer of {response.url} is no {model.__name__}") from error
    answer._request_id = response.headers.get("x-request-id")
    return answer


class AsyncVideos:
    """``client.videos`` of an ``AsyncFilmgate``, and of both clients what is inside."""

    def __init__(self, client: "BaseClient[Any]") -> None:
        self._client = client

    async def _fetch(self, call: Call, model: type[Answer]) -> Answer:
        return _read_answer(await self._client.send(call), model)

    async def _post(self, path: str, kind: type[Answer], options: Options, /, **fields: Any) -> Answer:
        return await self._fetch(make_call("POST", path, options, fields=fields), kind)

    async def quote(self, *, prompt: str, **arguments: Unpack[Creation]) -> VideoQuote:
        """What ``create`` would make and cost as things stand now. Nothing is made or reserved."""
        own = {name: arguments.get(name) for name in CREATION_FIELDS}
        return await self._post("/videos/quote", VideoQuote, arguments, prompt=prompt, **own)

    async def create(self, *, prompt: str, **arguments: Unpack[Creation]) -> Video:
        """Begin a video. It is made later: ``poll`` waits for it."""
        own = {name: arguments.get(name) for name in CREATION_FIELDS}
        return await self._post("/videos", Video, arguments, prompt=prompt, **own)

    async def create_and_poll(
        self, *, prompt: str, poll_interval_ms: int | None = None, **arguments: Unpack[Creation]
    ) -> Video:
        """Make a video and wait for its end."""
        video = await self.create(prompt=prompt, **arguments)
        return await self.poll(video.id, poll_interval_ms=poll_interval_ms)

    async def poll(self, video_id: str, *, poll_interval_ms: int | None = None) -> Video:
        """Wait for the end, at the pace that the gateway names. The video may have failed: see ``status``, ``error``."""
        call = make_call("GET", _path_of(video_id), {"extra_headers": {"x-stainless-poll-helper": "true"}})
        while True:
            response = await self._client.send(call)
            video = _read_answer(response, Video)
            if video.status not in ("queued", "in_progress"):
                return video
            named = read_pause(response, {"openai-poll-after-ms": 1000}, default=1.0)
            await self._client.pause(named if poll_interval_ms is None else poll_interval_ms / 1000)

    async def retrieve(self, video_id: str, **options: Unpack[Options]) -> Video:
        return await self._fetch(make_call("GET", _path_of(video_id), options), Video)

    def list(self, **arguments: Unpack[Listing]) -> "AsyncVideoPages":
        """Newest first unless ``order="asc"``."""
        return AsyncVideoPages(self, arguments)

    async def _page(self, arguments: Listing) -> VideoPage:
        own = {name: arguments.get(name) for name in ("after", "limit", "order")}
        query = own | dict(arguments.get("extra_query") or {})
        call = make_call("GET", "/videos", cast(Options, arguments | {"extra_query": query}))
        return await self._fetch(call, VideoPage)

    async def delete(self, video_id: str, **options: Unpack[Options]) -> VideoDeleted:
        """Remove a video. One that is being made is cancelled."""
        return await self._fetch(make_call("DELETE", _path_of(video_id), options), VideoDeleted)

    async def remix(self, video_id: str, *, prompt: str, **options: Unpack[Options]) -> Video:
        return await self._post(_path_of(video_id, rest="/remix"), Video, options, prompt=prompt)

    async def edit(self, *, prompt: str, video: Reference, **options: Unpack[Options]) -> Video:
        return await self._post("/videos/edits", Video, options, prompt=prompt, video=video)

    async def extend(
        self, *, prompt: str, seconds: str, video: Reference, **options: Unpack[Options]
    ) -> Video:
        fields = {"prompt": prompt, "seconds": seconds, "video": video}
        return await self._post("/videos/extensions", Video, options, **fields)

    async def create_character(self, *, name: str, video: FileTypes, **options: Unpack[Options]) -> Character:
        fields = {"name": name, "video": video}
        call = make_call("POST", "/videos/characters", options, fields=fields, once=False)
        return await self._fetch(call, Character)

    async def get_character(self, character_id: str, **options: Unpack[Options]) -> Character:
        path = _path_of(character_id, folder="/characters")
        return await self._fetch(make_call("GET", path, options), Character)

    async def download_content(
        self, video_id: str, *, variant: str | None = None, **options: Unpack[Options]
    ) -> Content:
        options["extra_query"] = {"variant": variant} | dict(options.get("extra_query") or {})
        call = make_call("GET", _path_of(video_id, rest="/content"), options)
        return Content(await self._client.send(call))

    async def receipt(self, video_id: str, **options: Unpack[Options]) -> Content:
        """The signed receipt of a video that has ended, as a file: ``filmgate receipt verify`` checks it."""
        call = make_call("GET", _path_of(video_id, rest="/receipt"), options)
        return Content(await self._client.send(call))


class AsyncVideoPages:
    """``await`` it for one page, or ``async for`` over the videos of all."""

    def __init__(self, videos: AsyncVideos, arguments: Listing) -> None:
        self._videos, self._arguments = videos, arguments

    def __await__(self) -> Generator[Any, None, VideoPage]:
        return self._videos._page(self._arguments).__await__()

    async def __aiter__(self) -> AsyncIterator[Video]:
        page = await self
        for video in page.data:
            yield video
        if page.has_next_page():
            async for video in AsyncVideoPages(self._videos, self._arguments | {"after": page.data[-1].id}):
                yield video


Method: TypeAlias = Callable[Concatenate[AsyncVideos, Given], Coroutine[Any, Any, Result]]


def run_blocking(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The calls of a blocking client never suspend, so one step without an event loop runs each to its end."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast(Result, end.value)
    raise AssertionError("a call of the blocking client was suspended")


def _blocking(method: Method[Given, Result]) -> Callable[Concatenate["Videos", Given], Result]:
    def call_method(videos: "Videos", /, *values: Given.args, **options: Given.kwargs) -> Result:
        return run_blocking(method(videos._calls, *values, **options))

    vars(call_method).update({"__wrapped__": method, "__doc__": method.__doc__})
    return call_method


class Videos:
    """``client.videos`` of a ``Filmgate``."""

    def __init__(self, client: "Filmgate") -> None:
        self._calls = AsyncVideos(client)

    def list(self, **arguments: Unpack[Listing]) -> VideoPage:
        """Newest first unless ``order="asc"``. Iterating over it loads further pages."""
        page = run_blocking(self._calls._page(arguments))
        page._load = lambda last: self.list(**(arguments | {"after": last}))
        return page

    quote = _blocking(AsyncVideos.quote)
    create = _blocking(AsyncVideos.create)
    create_and_poll = _blocking(AsyncVideos.create_and_poll)
    poll = _blocking(AsyncVideos.poll)
    retrieve = _blocking(AsyncVideos.retrieve)
    delete = _blocking(AsyncVideos.delete)
    remix = _blocking(AsyncVideos.remix)
    edit = _blocking(AsyncVideos.edit)
    extend = _blocking(AsyncVideos.extend)
    create_character = _blocking(AsyncVideos.create_character)
    get_character = _blocking(AsyncVideos.get_character)
    download_content = _blocking(AsyncVideos.download_content)
    receipt = _blocking(AsyncVideos.receipt)
