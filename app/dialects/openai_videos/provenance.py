"""`/v1/content_provenance_checks`: whether a film was made here, and which marks it carries."""

import re
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.http.callers import CallerKey, Services
from app.dialects.http.gateway import Gateway
from app.dialects.openai_videos.answer import video_id
from app.dialects.openapi.operations import operation_schema
from app.errors import InvalidRequest, MissingField
from app.keys.key import ClientKey

router = APIRouter(prefix="/v1/content_provenance_checks", tags=["OpenAI Videos"])
SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@router.post(
    "",
    summary="Check where a film comes from",
    openapi_extra=operation_schema(body="ProvenanceCheck", answer="Provenance"),
)
async def check_provenance(request: Request, key: CallerKey, services: Services) -> Response:
    """By the file itself or by the SHA-256 of its bytes. Films that were labelled here are known for years, also when
    they are deleted; whoever asks learns what they are, and only their owner which video it was."""
    body = await services.read_body(request)
    upload, sha256 = body.upload("file"), body.text("sha256")
    if upload is None and sha256 is None:
        raise MissingField("file")
    if upload is not None and sha256 is not None:
        raise InvalidRequest("Send file or sha256, not both", param="sha256")
    if upload is not None:
        marks: list[str] | None = list(await services.inputs.read_marks(upload.content))
        sha256 = upload.sha256
    else:
        assert sha256 is not None
        marks = None
        if not SHA256.fullmatch(sha256):
            raise InvalidRequest("sha256 must be 64 hex digits", param="sha256")
    return JSONResponse(await _answer_check(services, key, sha256=sha256.lower(), marks=marks))


async def _answer_check(
    services: Gateway, key: ClientKey, *, sha256: str, marks: list[str] | None
) -> dict[str, Any]:
    known = await services.film_hashes.find(sha256)
    answer: dict[str, Any] = {
        "object": "content_provenance_check",
        "sha256": sha256,
        "made_here": known is not None,
        "marks": marks,
    }
    if known is None:
        return answer
    own = {"video_id": video_id(known.task_id)} if known.owner == key.owner else {}
    return answer | {
        "ai_generated": True,
        "labels": list(known.layers),
        "model": known.model,
        "created_at": int(known.made_at),
        **own,
    }
