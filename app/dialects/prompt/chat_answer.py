"""Answers with a task in chat form: streamed while it runs, or as a whole when it has ended."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import anyio
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.catalog.presets import ModelPreset, preset_for
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway
from app.dialects.http.language import language_of
from app.dialects.prompt.chat_stream import (
    ChatStream,
    ProgressNarrator,
    TaskView,
    character_lines,
    completion_id,
    completion_object,
    failure_body,
    failure_line,
    final_content,
    finish_reason_of,
    shots_line,
    stream_for,
)
from app.errors import ContentPolicyViolation, FilmgateError, GenerationFailed, InvalidRequest, WaitedTooLong
from app.ops.envelope import OWN_ENVELOPE, error_headers
from app.tasks.characters import Character
from app.tasks.task import Task

KEEP_ALIVE_SECONDS = 15
SHUTDOWN_GRACE_SECONDS = 2
CHARACTER_MODEL = "character"
"""The model's name in an answer that creates a character."""
NO_TOKENS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
"""Videos are not counted in tokens, but clients expect the field."""


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How the client wants its answer; ``include_usage`` asks for the usage chunk of a stream."""

    stream: bool = False
    include_usage: bool = False


def read_chat_options(body: Body) -> ChatOptions:
    options = body.object("stream_options")
    return ChatOptions(body.boolean("stream") or False, bool(options and options.boolean("include_usage")))


async def answer_as_chat(
    request: Request, services: Gateway, task: Task, *, options: ChatOptions, opening: tuple[str, ...] = ()
) -> Response:
    """The response for a new task; ``opening`` are the first lines of its text."""
    preset = preset_for(task.model, kind="image" if task.kind == "image" else "video")
    headers = {"x-task-id": task.id}
    if options.stream or preset.reply != "url":  # a whole answer of that style is the link and nothing else
        opening = (*opening, *shots_line(task.request, language_of(request.headers)))
    if not options.stream:
        return await _answer_when_ended(
            request, services, task, preset=preset, headers=headers, opening=opening
        )
    leaving = anyio.Event()
    return EventSourceResponse(
        _stream_frames(
            request,
            services,
            task,
            preset=preset,
            usage=options.include_usage,
            leaving=leaving,
            opening=opening,
        ),
        headers=headers,
        ping=KEEP_ALIVE_SECONDS,
        sep="\n",
        ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep="\n"),
        shutdown_event=leaving,
        shutdown_grace_period=SHUTDOWN_GRACE_SECONDS,
    )


async def _stream_frames(
    request: Request,
    services: Gateway,
    task: Task,
    *,
    preset: ModelPreset,
    usage: bool,
    leaving: anyio.Event,
    opening: tuple[str, ...],
) -> AsyncIterator[bytes]:
    stream = stream_for(
        _task_view(task), reply=preset.reply, created=int(task.created_at), include_usage=usage
    )
    narrator = ProgressNarrator(preset.reply, language_of(request.headers))
    yield stream.opening_frame()
    for line in opening:
        yield stream.content_frame(line)
    current = task
    async with aclosing(_iterate_until(leaving, services.tasks.watch(task))) as changes:
        async for current in changes:
            for line in narrator.new_lines(await _view_with_stages(services, current, preset)):
                yield stream.content_frame(line)
    if current.state == "completed":
        for frame in stream.closing_frames(
            _final_content(request, services, current, preset=preset, stream=True), usage=NO_TOKENS
        ):
            yield frame
        return
    body = failure_body(_task_view(current)) if current.has_ended else _restart_error(current)
    language = language_of(request.headers)
    for frame in stream.failure_frames(
        failure_line(body, current.kind, language, goes_on=not current.has_ended), body
    ):
        yield frame


async def _answer_when_ended(
    request: Request,
    services: Gateway,
    task: Task,
    *,
    preset: ModelPreset,
    headers: dict[str, str],
    opening: tuple[str, ...],
) -> Response:
    waiting = asyncio.create_task(services.tasks.wait_until_ended(task, within=services.chat_wait_seconds))
    leaving = asyncio.create_task(wait_for_disconnect(request))
    done, _ = await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
    for job in (waiting, leaving):
        job.cancel()
    await asyncio.gather(waiting, leaving, return_exceptions=True)
    if waiting not in done:
        return Response(status_code=499)  # the client has disconnected; the task goes on
    ended = waiting.result()
    if ended.state != "completed":
        return _failure_response(request, ended, headers)
    content = "".join(opening) + _final_content(request, services, ended, preset=preset, stream=False)
    view = _task_view(ended)
    document = completion_object(view, content, created=int(task.created_at), usage=NO_TOKENS)
    return JSONResponse(document | ended.told_fields, headers=headers)


def _failure_response(request: Request, task: Task, headers: dict[str, str]) -> Response:
    """The error, and the same as a message: the manuals' programs read ``choices`` without a look at the status."""
    error = failure_error(task)
    body = OWN_ENVELOPE.error_body(error)
    line = failure_line(body, task.kind, language_of(request.headers), goes_on=not task.has_ended)
    document = completion_object(_task_view(task), line, created=int(task.created_at), usage=NO_TOKENS)
    document["choices"][0]["finish_reason"] = finish_reason_of(body)
    return JSONResponse(document | body, error.status, headers=headers | error_headers(error))


async def _view_with_stages(services: Gateway, task: Task, preset: ModelPreset) -> TaskView:
    """With the reason why it waits, and the delivery stages, if the model's reply style shows them."""
    view = replace(_task_view(task), wait=await services.tasks.account_wait(task))
    if preset.reply != "url" or task.state not in ("storing", "completed"):
        return view
    return replace(view, stages=await services.tasks.delivery_stages(task))


def _task_view(task: Task) -> TaskView:
    return TaskView(
        id=task.id,
        model=task.model,
        state=task.state,
        accepted=task.public_state == "accepted",
        progress=task.shown_progress,
        error_code=task.error_code,
        error_message=task.error_message,
        kind=task.kind,
    )


def _final_content(
    request: Request, services: Gateway, task: Task, *, preset: ModelPreset, stream: bool
) -> str:
    assert task.result is not None
    links = [services.file_link(request, task, file) for file in task.result.files]
    return "\n".join(final_content(preset.reply, link, kind=task.kind, stream=stream) for link in links)


def failure_error(task: Task) -> FilmgateError:
    """The error for a task that failed, was cancelled, or has not ended in time."""
    if not task.has_ended:
        return WaitedTooLong(f"The task is still running; GET /v1/tasks/{task.id} shows when it has ended.")
    text = failure_body(_task_view(task))["error"]
    if text["code"] == "content_policy_violation":
        return ContentPolicyViolation(text["message"])
    if text["type"] == "invalid_request_error":
        return InvalidRequest(text["message"])
    return GenerationFailed(text["code"], text["message"])


def _restart_error(task: Task) -> dict[str, Any]:
    text = f"The server is restarting; the task goes on. GET /v1/tasks/{task.id} shows when it has ended."
    return OWN_ENVELOPE.error_body(GenerationFailed("unavailable", text))


async def _iterate_until(leaving: anyio.Event, source: AsyncIterator[Task]) -> AsyncGenerator[Task, None]:
    """Yields from ``source`` until the server shuts down."""
    stop = asyncio.create_task(leaving.wait())
    try:
        while True:
            following = asyncio.ensure_future(anext(source))
            await asyncio.wait({stop, following}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                return
            try:
                yield following.result()
            except StopAsyncIteration:
                return
    finally:
        stop.cancel()


async def wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def answer_character(character: Character, document: dict[str, Any], *, options: ChatOptions) -> Response:
    """A character that was just created, answered as a chat; ``document`` describes it to the client."""
    stream = ChatStream(
        completion_id(character.id.removeprefix("char_")),
        CHARACTER_MODEL,
        int(character.created_at),
        "html",
        options.include_usage,
    )
    lines = character_lines(display_name=character.name, username=character.username)
    if options.stream:
        return Response(b"".join(_character_frames(stream, lines)), media_type="text/event-stream")
    message = {"role": "assistant", "content": "".join(lines), "refusal": None}
    return JSONResponse(
        {
            "id": stream.id,
            "object": "chat.completion",
            "created": stream.created,
            "model": CHARACTER_MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": NO_TOKENS,
            "character": document,
        }
    )


def _character_frames(stream: ChatStream, lines: tuple[str, ...]) -> Iterator[bytes]:
    *first, last = lines
    yield stream.opening_frame()
    for line in first:
        yield stream.content_frame(line)
    yield from stream.closing_frames(last, usage=NO_TOKENS)
