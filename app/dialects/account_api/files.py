"""Signed links: `/files/<task>/<name>` needs no key, only a signature that has not expired."""

import time

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.dialects.http.gateway import Services, authenticate_key
from app.dialects.http.task_files import serve_file
from app.dialects.openapi.document import download_schema
from app.errors import NotFound
from app.keys.service import key_in_headers

router = APIRouter(tags=["Files"])


@router.get(
    "/files/{task_id}/{name}",
    summary="Download by signed link",
    response_class=Response,
    openapi_extra=download_schema("video/mp4", query=("expires", "signature")),
)
async def get_file(task_id: str, name: str, *, request: Request, services: Services) -> Response:
    """A finished file, by the link that an answer gave; of a private task, with its key."""
    query = request.query_params
    if "signature" not in query and key_in_headers(request.scope["headers"]):
        task = await services.tasks.get(task_id, await authenticate_key(request))
    else:
        path = f"/files/{task_id}/{name}"
        services.signer.verify(path, query.get("expires", ""), query.get("signature", ""), now=time.time())
        task = await services.tasks.by_link(task_id)
    file = next((f for f in task.result.all_files() if f.name == name), None) if task.result else None
    if file is None:
        raise NotFound("No such file.")
    return await serve_file(request, services, task, file=file)


router.add_api_route("/files/{task_id}/{name}", get_file, methods=["HEAD"], include_in_schema=False)
