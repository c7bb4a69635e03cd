"""Characters: `/sora/v1/characters` creates one; `/v1/characters` lists, shows and deletes them."""

import time

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from app.dialects.account_api.answer import cameo_object, character_id, character_object
from app.dialects.fields.characters import read_clip, read_time_span
from app.dialects.http.body import Body
from app.dialects.http.callers import CallerKey, Services
from app.dialects.http.gateway import Gateway, authenticate_key
from app.dialects.openapi.operations import download_schema, operation_schema
from app.errors import MissingField
from app.generation import MediaInput
from app.keys.key import ClientKey
from app.keys.service import key_in_headers
from app.media.serve import file_response

router = APIRouter(tags=["Characters"])


@router.post(
    "/sora/v1/characters",
    summary="Create a character from a clip or a task",
    openapi_extra=operation_schema(body="CreateCameo", answer="Cameo"),
)
async def create(request: Request, key: CallerKey, services: Services) -> Response:
    """`timestamps` is the part of the clip that shows the character: start,end in seconds, one to three apart."""
    body = await services.read_body(request)
    clip_range = read_time_span(body, "timestamps")
    if clip_range is None:
        raise MissingField("timestamps")
    clip, param = await _read_clip(body, services, key)
    character = await services.characters.create(clip, key=key, clip_range=clip_range, param=param)
    return JSONResponse(cameo_object(character, base=services.base_url(request), signer=services.signer))


@router.get(
    "/v1/characters",
    summary="List characters",
    openapi_extra=operation_schema(answer="CameoList", query=("after", "limit")),
)
async def list_characters(request: Request, key: CallerKey, services: Services) -> Response:
    """Newest first."""
    query = services.read_query(request)
    limit = query.integer("limit", low=1, high=100) or 20
    found, more = await services.characters.page(key, after=query.text("after") or None, limit=limit)
    base = services.base_url(request)
    data = [character_object(character, base=base, signer=services.signer) for character in found]
    return JSONResponse({"object": "list", "data": data, "has_more": more})


@router.get(
    "/v1/characters/{name}", summary="Get a character", openapi_extra=operation_schema(answer="Cameo")
)
async def get(name: str, *, request: Request, services: Services) -> Response:
    """By username or id. A permalink that is opened without a key, as in a browser, leads to the clip."""
    query, path = request.query_params, f"/v1/characters/{name}"
    if "signature" in query and not key_in_headers(request.scope["headers"]):
        services.signer.verify(path, query.get("expires", ""), query["signature"], now=time.time())
        shown = await services.characters.by_link(name)
        clip = f"/files/characters/{character_id(shown)}/clip.mp4"
        return RedirectResponse(services.base_url(request) + services.signer.sign(clip, now=time.time()))
    found = await services.characters.get(name, key=await authenticate_key(request))
    return JSONResponse(character_object(found, base=services.base_url(request), signer=services.signer))


@router.delete(
    "/v1/characters/{name}",
    summary="Delete a character",
    openapi_extra=operation_schema(answer="CameoDeleted"),
)
async def delete(name: str, key: CallerKey, services: Services) -> Response:
    """Removes its clip and its still picture from the store."""
    found = await services.characters.get(name, key=key)
    await services.characters.delete(found)
    return JSONResponse({"id": character_id(found), "object": "character.deleted", "deleted": True})


@router.get(
    "/files/characters/{name}/{file}",
    summary="Download a character's still or clip by signed link",
    response_class=Response,
    openapi_extra=download_schema("image/webp", "video/mp4", query=("expires", "signature")),
)
async def get_file(name: str, file: str, *, request: Request, services: Services) -> Response:
    query = request.query_params
    path = f"/files/characters/{name}/{file}"
    services.signer.verify(path, query.get("expires", ""), query.get("signature", ""), now=time.time())
    found = await services.characters.by_link(name)
    stored = await services.store.head(found.clip if file == "clip.mp4" else found.still)
    return file_response(
        services.store,
        stored,
        request_headers=request.headers,
        method=request.method,
        content_type="video/mp4" if file == "clip.mp4" else "image/webp",
        file_name=f"{found.username}-{file}",
    )


async def _read_clip(body: Body, services: Gateway, key: ClientKey) -> tuple[MediaInput, str]:
    """The clip in ``url``, else the video of the task ``from_task``, and the name of its field. The platform manual asks for
    one of the two, and its own example sends both: then the clip counts."""
    source, task_name = body.source("url"), body.text("from_task")
    if source is not None:
        return await read_clip(source, services, key, param="url"), "url"
    if not task_name:
        raise MissingField("url or from_task")
    task = await services.tasks.get(task_name, key)
    return await read_clip(f"task_{task.id}", services, key, param="from_task"), "from_task"
