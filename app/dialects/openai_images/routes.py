"""OpenAI's images API: relayed where an upstream has it, else made by tasks and answered in its form."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from app.dialects.base import DialectRoutes, RelayedRoute
from app.dialects.http.gateway import Gateway, gateway_of, request_context
from app.dialects.openai_images.answer import OpenAIImagesDialect, look_fields, usage_object
from app.dialects.openai_images.request import ImagesRequest, ResponseForm, read_images_request
from app.dialects.openapi.schemas import EVENT_STREAM, FORM, JSON, Schema, schema_ref
from app.dialects.prompt.chat_answer import KEEP_ALIVE_SECONDS, failure_error, wait_for_disconnect
from app.keys.key import ClientKey
from app.ops.envelope import OWN_ENVELOPE, error_headers
from app.providers.event_stream import write_event
from app.relay.routes import ImagesEndpoint, replay_body
from app.tasks.service import RequestContext
from app.tasks.task import Task

EVENT_NAMES = {"images/generations": "image_generation.completed"}


class GenerationImages:
    """Makes images by tasks; implements the relay's ``ImagesFallback``. The tasks go on when the client disconnects;
    ``x-task-id`` names them."""

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: ClientKey, path: str
    ) -> None:
        request = Request(scope, replay_body(body, receive))
        services = gateway_of(request)
        images_request = await read_images_request(await services.read_body(request), services, path=path)
        context = request_context(request, OpenAIImagesDialect.name)
        tasks = [
            await services.tasks.create(
                images_request.numbered_request(number),
                key=key,
                context=_numbered_context(context, number, images_request.count),
            )
            for number in range(images_request.count)
        ]
        response = await _answer_images(request, services, tasks, images_request=images_request, path=path)
        await response(scope, receive, send)


def _numbered_context(context: RequestContext, number: int, count: int) -> RequestContext:
    """The context of image ``number``. Equal tasks of one request need different fingerprints: a repeated request would
    find the same task for all of them."""
    if count == 1:
        return context
    token = context.idempotency_key
    if token and number:
        token = hashlib.sha256(f"{token} {number}".encode()).hexdigest()
    return replace(context, idempotency_key=token, part=f"{number + 1}/{count}")


async def _answer_images(
    request: Request, services: Gateway, tasks: list[Task], *, images_request: ImagesRequest, path: str
) -> Response:
    headers = {"x-task-id": ", ".join(task.id for task in tasks)}
    if images_request.stream:
        name = EVENT_NAMES.get(path, "image_edit.completed")
        events = _image_events(request, services, tasks, name=name, looks=images_request.looks)
        return EventSourceResponse(
            events,
            headers=headers,
            ping=KEEP_ALIVE_SECONDS,
            sep="\n",
            ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep="\n"),
        )
    ended = await _wait_for_all(request, services, tasks)
    if ended is None:
        return Response(status_code=499)  # the client has disconnected; the tasks go on
    completed = [task for task in ended if task.state == "completed"]
    if not completed:
        error = failure_error(ended[0])
        return JSONResponse(
            OWN_ENVELOPE.error_body(error), error.status, headers=headers | error_headers(error)
        )
    # Images that were made and paid for are returned even if another of the same request failed.
    data = [
        await _image_objects(request, services, task, form=images_request.response_form) for task in completed
    ]
    document = {
        "created": int(completed[0].created_at),
        "data": [image for images in data for image in images],
        **look_fields(completed[0], images_request.looks),
        "usage": usage_object(completed),
    }
    return JSONResponse(document, headers=headers)


async def _wait_for_all(request: Request, services: Gateway, tasks: list[Task]) -> list[Task] | None:
    """The tasks when all have ended or the time is up. None if the client disconnects before."""
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
    request: Request, services: Gateway, tasks: list[Task], *, name: str, looks: dict[str, str]
) -> AsyncIterator[bytes]:
    """One event for each image, as soon as it is made."""
    for task in tasks:
        ended = await services.tasks.wait_until_ended(task, within=services.chat_wait_seconds)
        if ended.state != "completed":
            yield _sse_event("error", OWN_ENVELOPE.error_body(failure_error(ended)))
            return
        for image in await _image_objects(request, services, ended, form="b64_json"):
            event = {
                "type": name,
                "created_at": int(ended.created_at),
                **image,
                **look_fields(ended, looks),
                "usage": usage_object([ended]),
            }
            yield _sse_event(name, event)


def _sse_event(name: str, event: dict[str, Any]) -> bytes:
    return write_event(json.dumps(event).encode(), name=name)


async def _image_objects(
    request: Request, services: Gateway, task: Task, *, form: ResponseForm
) -> list[dict[str, str]]:
    """Both forms unless one is requested: older clients read the link, newer ones the base64."""
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
            "Make images: relayed where an upstream has this API, else made by a task",
            "CreateImages",
        ),
        _images_route("images/edits", "Change images", "EditImages"),
        _images_route("images/variations", "Vary an image", "VaryImage", streams=False),
    )
)
