"""The feature-endpoints manual: one route for each thing that can be made, told like a chat."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.body import Body, Source
from app.dialects.directives import read_directives, share_id
from app.dialects.gateway import Caller, Gateway, Services, asked
from app.dialects.prompted import KNOWN as OPTIONS
from app.dialects.prompted import Named, Wish, read_wish
from app.dialects.reference import operation
from app.dialects.storyboard import read_storyboard
from app.dialects.task_object import task_object
from app.dialects.telling import Manner, read_manner, tell
from app.errors import InvalidRequest, MissingField, UnknownModel
from app.generation import MediaInput
from app.keys.service import Key
from app.tasks.task import Task

router = APIRouter(prefix="/v1", tags=["Feature endpoints"])
DEFAULT_MODELS = {"image": "gpt-image", "video": "sora2-landscape-10s"}
KNOWN = OPTIONS | {"prompt", "image", "remix_target_id", "async_mode", "video", "name", "timestamps"}
NAMED = Named(text="prompt", images="image", videos="video", target="remix_target_id")


@dataclass(frozen=True, slots=True)
class Feature:
    """What one endpoint makes, and what it must be given."""

    path: str
    summary: str
    kind: Literal["image", "video"]
    body: str
    needs: Literal["", "image", "remix_target_id", "shots"] = ""


FEATURES = (
    Feature("/images/generate", "Make an image from text", "image", "MakeImage"),
    Feature("/images/transform", "Make an image from an image", "image", "TransformImage", "image"),
    Feature("/videos/generate", "Make a video from text", "video", "MakeVideo"),
    Feature("/videos/transform", "Make a video from an image", "video", "TransformVideo", "image"),
    Feature("/videos/remix", "Make a video anew", "video", "RemixFeature", "remix_target_id"),
    Feature("/videos/storyboard", "Make a video of several shots", "video", "MakeStoryboard", "shots"),
)


def _route(feature: Feature) -> Callable[..., Awaitable[Response]]:
    async def make(request: Request, key: Caller, services: Services) -> Response:
        body = await services.read(request)
        return await make_feature(request, services, key, body=body, feature=feature)

    return make


for each in FEATURES:
    router.add_api_route(
        each.path,
        _route(each),
        methods=["POST"],
        summary=each.summary,
        name=each.path.strip("/").replace("/", "_"),
        description="Waits for the end, streams with `stream`, answers at once with `async_mode`.",
        openapi_extra=operation(body=each.body, answer="ChatOrTask", streams=True),
    )


async def make_feature(
    request: Request,
    services: Gateway,
    key: Key,
    *,
    body: Body,
    feature: Feature,
    cast: tuple[MediaInput, ...] = (),
    opening: tuple[str, ...] = (),
) -> Response:
    """``cast`` are characters that were just made, ``opening`` the lines that tell of them."""
    manner, at_once = read_manner(body), body.boolean("async_mode") or False
    wish = wish_for(body, services, feature=feature, cast=cast)
    wanted = await read_wish(wish, body, services, key=key, known=KNOWN)
    how = asked(request, "features", hook_url=body.text("notify_hook"))
    task = await services.tasks.create(wanted, key=key, asked=how)
    return await _answered(request, services, task, manner=None if at_once else manner, opening=opening)


async def _answered(
    request: Request, services: Gateway, task: Task, *, manner: Manner | None, opening: tuple[str, ...]
) -> Response:
    if manner is None:
        document = task_object(task, services.links(request, task))
        return JSONResponse(document, headers={"x-task-id": task.id})
    return await tell(request, services, task, manner=manner, opening=opening)


def wish_for(body: Body, services: Gateway, *, feature: Feature, cast: tuple[MediaInput, ...] = ()) -> Wish:
    """Raises what can be known of ``body`` at a glance."""
    prompt = body.required_text("prompt")
    model = body.text("model") or DEFAULT_MODELS[feature.kind]
    if services.catalog.kind_of(model) != feature.kind:
        raise UnknownModel(model)
    if feature.needs == "shots" and not read_storyboard(read_directives(prompt).prompt):
        raise InvalidRequest(
            "prompt must be a storyboard: [5.0s]what happens [5.0s]what happens then", param="prompt"
        )
    return Wish(
        kind=feature.kind,
        model=model,
        text=prompt,
        named=NAMED,
        images=(_needed(body, "image"),) if feature.needs == "image" else (),
        target=_target(body) if feature.needs == "remix_target_id" else None,
        media=cast,
    )


def _needed(body: Body, name: str) -> Source:
    found = body.source(name)
    if found is None:
        raise MissingField(name)
    return found


def _target(body: Body) -> str:
    """A share link, its ``s_<32 hex>``, or a task of ours in any dialect's form."""
    given = body.required_text("remix_target_id").strip()
    return share_id(given) or given
