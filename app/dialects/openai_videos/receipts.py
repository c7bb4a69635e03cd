"""`GET /v1/videos/{id}/receipt`, and the keys that receipts are checked with."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.http.callers import CallerKey, Services
from app.dialects.http.film_files import receipt_file
from app.dialects.openai_videos.answer import KEYS_PATH
from app.dialects.openapi.operations import operation_schema
from app.dialects.openapi.schemas import JSON, Schema, schema_ref

router = APIRouter(tags=["OpenAI Videos"])
KEYS_SECONDS = 300
"""For so long whoever has asked for the keys may use them without asking again."""
STILL_OPEN: Schema = {
    "description": "The task has not ended yet",
    "content": {JSON: {"schema": schema_ref("Error")}},
}
ANSWERS: Schema = {"200": {"content": {JSON: {"schema": schema_ref("Receipt")}}}, "409": STILL_OPEN}


@router.get(
    "/v1/videos/{name}/receipt",
    summary="Get the signed receipt of a video",
    openapi_extra={"responses": ANSWERS},
)
async def get_receipt(name: str, key: CallerKey, services: Services) -> Response:
    """Of a video that was made, has failed or was cancelled; the same bytes each time. `filmgate receipt verify` checks it
    without this gateway."""
    task = await services.tasks.get(name, key)
    return receipt_file(task, await services.receipts().receipt(task, "client"))


@router.get(
    KEYS_PATH,
    summary="The keys that sign receipts",
    openapi_extra=operation_schema(answer="ReceiptKeys"),
)
async def get_keys(_request: Request, services: Services) -> Response:
    """A JWK set, also with the keys that signed earlier. Needs no key of a client."""
    keys = await services.receipts().keys.published()
    return JSONResponse(keys, headers={"cache-control": f"public, max-age={KEYS_SECONDS}"})
