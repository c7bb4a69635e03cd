"""OpenAI's images API for models that no upstream of theirs offers it for: made by tasks, answered in its form."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from app.dialects.base import DialectRoutes, RelayedRoute
from app.dialects.http.gateway import Gateway, gateway_of, request_context
from app.dialects.openai_images.answer import OpenAIImagesDialect, usage_object
from app.dialects.openai_images.request import ImagesRequest, ResponseForm, read_images_request
from app.dialects.openapi.schemas import EVENT_STREAM, FORM, JSON, Schema, schema_ref
from app.dialects.prompt.chat_answer import KEEP_ALIVE_SECONDS, failure_error, wait_for_disconnect
from app.keys.key import ClientKey
from app.ops.envelope import OWN_ENVELOPE, error_headers
from app.relay.routes import ImagesEndpoint, replay_body
from app.tasks.service import RequestContext
from app.tasks.task import Task

EVENT_NAMES = {"images/generations": "image_generation.completed"}


class GenerationImages:
    """Takes over from the relay. A client that hangs up stops nothing: ``x-task-id`` names the tasks."""

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: ClientKey, path: str
    ) -> None:
        request = Request(scope, replay_body(body, receive))
        services = gateway_of(request)
        wanted = await read_images_request(await services.read_body(request), services, path=path)
        how = request_context(request, OpenAIImagesDialect.name)
        tasks = [
            await services.tasks.create(
                wanted.numbered_request(number), key=key, context=_numbered_context(how, number, wanted.count)
            )
            for number in range(wanted.count)
        ]
        response = await _answer_images(request, services, tasks, wanted=wanted, path=path)
        await response(scope, receive, send)


def _numbered_context(how: RequestContext, number: int, count: int) -> RequestContext:
    """Equal tasks are told apart, or a repeated request would find one of them for all."""
    if count == 1:
        return how
    token = how.idempotency_key
    if token and number:
        token = hashlib.sha256(f"{token} {number}".encode()).hexdigest()
    return RequestContext(
        how.dialect, idempotency_key=token, is_retry=how.is_retry, part=f"{number + 1}/{count}"
    )


async def _answer_images(
    request: Request, services: Gateway, tasks: list[Task], *, wanted: ImagesRequest, path: str
) -> Response:
    headers = {"x-task-id": ", ".join(task.id for task in tasks)}
    if wanted.stream:
        events = _image_events(request, services, tasks, name=EVENT_NAMES.get(path, "image_edit.completed"))
        return EventSourceResponse(
            events,
            headers=headers,
            ping=KEEP_ALIVE_SECONDS,
            sep="\n",
            ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep="\n"),
        )
    ended = await _wait_for_all(request, services, tasks)
    if ended is None:
        return Response(status_code=499)  # nobody is there to read it; the tasks go on
    made = [task for task in ended if task.state == "completed"]
    if not made:
        error = failure_error(ended[0])
        return JSONResponse(
            OWN_ENVELOPE.error_body(error), error.status, headers=headers | error_headers(error)
        )
    # What was made and paid for is told, also when another of the same request failed.
    data = [await _image_objects(request, services, task, form=wanted.response_form) for task in made]
    document = {
        "created": int(made[0].created_at),
        "data": [image for images in data for image in images],
        "usage": usage_object(made),
    }
    return JSONResponse(document, headers=headers)


async def _wait_for_all(request: Request, services: Gateway, tasks: list[Task]) -> list[Task] | None:
    """The tasks when all have ended or the waiting has; None when the client left before that."""
    wait = services.chat_wait_seconds
    leaving = asyncio.create_task(wait_for_disconnect(request))
    waiting = [asyncio.create_task(services.tasks.wait_until_ended(task, within=wait)) for task in tasks]
    try:
        open_yet = set(waiting)
        while open_yet:
            done, _ = await asyncio.wait({*open_yet, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if leaving in done:
                return None
            open_yet -= done
        return [each.result() for each in waiting]
    finally:
        for job in (leaving, *waiting):
            job.cancel()
        await asyncio.gather(leaving, *waiting, return_exceptions=True)


async def _image_events(
    request: Request, services: Gateway, tasks: list[Task], *, name: str
) -> AsyncIterator[bytes]:
    """One event for each image, when it is there."""
    for task in tasks:
        ended = await services.tasks.wait_until_ended(task, within=services.chat_wait_seconds)
        if ended.state != "completed":
            yield _sse_event("error", OWN_ENVELOPE.error_body(failure_error(ended)))
            return
        for image in await _image_objects(request, services, ended, form="b64_json"):
            told = {
                "type": name,
                "created_at": int(ended.created_at),
                **image,
                "usage": usage_object([ended]),
            }
            yield _sse_event(name, told)


def _sse_event(name: str, told: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(told)}\n\n".encode()


async def _image_objects(
    request: Request, services: Gateway, task: Task, *, form: ResponseForm
) -> list[dict[str, str]]:
    """Who asks for neither form gets both: older clients read the link, newer ones the bytes."""
    assert task.result is not None
    images: list[dict[str, str]] = []
    for file in task.result.files:
        image: dict[str, str] = {}
        if form != "b64_json":
            image["url"] = services.file_link(request, task, file)
        if form != "url":
            image["b64_json"] = base64.b64encode(await services.store.get(file.key)).decode()
        images.append(image)
    return images


def _images_route(path: str, summary: str, body: str, *, streams: bool = True) -> RelayedRoute:
    answer: Schema = {JSON: {"schema": schema_ref("Images")}} | (EVENT_STREAM if streams else {})
    return RelayedRoute(
        path,
        lambda relay, served: ImagesEndpoint(relay, served, GenerationImages()),
        tag="Images",
        summary=summary,
        body=body,
        answer=answer,
        content_types=(JSON, FORM),
    )


ROUTES = DialectRoutes(
    relayed=(
        _images_route(
            "images/generations",
            "Make images: relayed where an upstream speaks it, else made by a task",
            "CreateImages",
        ),
        _images_route("images/edits", "Change images", "EditImages"),
        _images_route("images/variations", "Vary an image", "VaryImage", streams=False),
    )
)
