"""Schemas of the Videos API, for `/openapi.json`."""

from typing import Any

from app.dialects.fields.schemas import FILM_SCHEMA, film_body
from app.dialects.openai_videos.batch_schemas import BATCH_EXAMPLES, BATCH_SCHEMAS
from app.dialects.openapi.schemas import (
    ATTEMPT,
    BOAT,
    FITTED,
    FLAG,
    MEDIA,
    OWN_VIDEO,
    PERCENT,
    PROMPT,
    REVISED_PROMPT,
    SECONDS,
    TEXT,
    UNIX_SECONDS,
    WHOLE,
    Schema,
    list_of,
    nullable,
    object_of,
    schema_ref,
)

MODEL: Schema = {"type": "string", "default": "sora-2", "examples": ["sora-2", "sora_video2-landscape-15s"]}
OWN_OR_UPLOADED: Schema = {"anyOf": [object_of(("id",), id=TEXT), MEDIA]}

LABELS: Schema = list_of({"enum": ["implicit", "visible", "c2pa"]}) | {
    "description": "The labels that we added"
}
MARKS: Schema = list_of({"enum": ["aigc", "c2pa"]}) | {"description": "The marks that the file came with"}
SHA256: Schema = nullable({"type": "string", "pattern": "^[0-9a-f]{64}$"})
MOMENT: Schema = nullable({"type": "string", "format": "date-time"})
DECIMAL: Schema = nullable({"type": "string", "description": "Decimal digits", "examples": ["0.80"]})
RECEIPT_PARTS = (
    "kind",
    "version",
    "reader",
    "gateway",
    "task",
    "times",
    "asked",
    "made",
    "prompt",
    "inputs",
    "files",
    "labels",
    "attempts",
    "money",
)
RECEIPT_CONTENT = object_of(
    RECEIPT_PARTS,
    kind={"const": "filmgate.film_receipt"},
    version=WHOLE,
    reader={"enum": ["client", "operator"]},
    gateway=object_of(("name", "address", "software"), name=TEXT, address=nullable(TEXT), software=TEXT),
    task=object_of(("id", "state", "error"), id=TEXT, state=TEXT, error=nullable(TEXT)),
    times=object_of(("created", "finished"), created=MOMENT, started=MOMENT, made=MOMENT, finished=MOMENT),
    asked=object_of(("model",), model=TEXT, seconds=DECIMAL, size=nullable(TEXT)),
    made=nullable(
        object_of(("provider", "model"), provider=nullable(TEXT), model=nullable(TEXT), job_sha256=SHA256)
    ),
    prompt=nullable(object_of(("salt", "sha256"), salt=TEXT, sha256=SHA256)),
    inputs=nullable(
        list_of(
            object_of(("role", "sha256"), role=TEXT, content_type=TEXT, sha256=SHA256, task=nullable(TEXT))
        )
    ),
    files=list_of(object_of(("name", "bytes", "sha256"), name=TEXT, bytes=WHOLE, sha256=SHA256)),
    labels=list_of(TEXT),
    attempts=list_of(object_of(("number", "verdict"), number=WHOLE, verdict=nullable(TEXT))),
    money=object_of(
        ("currency", "state", "sale"), currency={"const": "USD"}, state=nullable(TEXT), sale=DECIMAL
    ),
)

SCHEMAS: dict[str, Schema] = {
    "FilmFields": FILM_SCHEMA,
    "CreateVideo": film_body(
        ("prompt",),
        prompt=PROMPT,
        model=MODEL,
        seconds=SECONDS,
        characters=list_of(object_of(("id",), id=TEXT)),
    ),
    "RemixVideo": film_body(("prompt",), prompt=PROMPT),
    "EditVideo": film_body(("prompt", "video"), prompt=PROMPT, video=OWN_OR_UPLOADED, model=MODEL),
    "ExtendVideo": film_body(
        ("prompt", "seconds", "video"), prompt=PROMPT, seconds=SECONDS, video=OWN_OR_UPLOADED
    ),
    "CreateCharacter": object_of(("name", "video"), name={"type": "string", "maxLength": 80}, video=MEDIA),
    "Character": object_of(("id", "name", "created_at"), id=TEXT, name=TEXT, created_at=UNIX_SECONDS),
    "Video": object_of(
        ("id", "object", "model", "status", "progress", "created_at", "seconds", "size"),
        id={"type": "string", "examples": [OWN_VIDEO]},
        object={"const": "video"},
        model=TEXT,
        status={"enum": ["queued", "in_progress", "completed", "failed"]},
        progress=PERCENT,
        created_at=UNIX_SECONDS,
        completed_at=nullable(UNIX_SECONDS),
        expires_at=nullable(UNIX_SECONDS),
        prompt=nullable(TEXT),
        seconds=TEXT,
        size=TEXT,
        remixed_from_video_id=nullable(TEXT),
        fitted=FITTED,
        attempt=ATTEMPT,
        revised_prompt=REVISED_PROMPT,
        wait_reason={"type": "string", "description": "Only while no account can take it: why"},
        estimated_wait_seconds=nullable({"type": "number", "minimum": 0}),
        codec={"type": "string", "description": "Of a film that could be measured: h264, hevc, vp9, av1 …"},
        fps=nullable({"type": "number", "minimum": 0}),
        sound=nullable(FLAG),
        provenance=schema_ref("FilmProvenance"),
        error=nullable(object_of(("code", "message"), code=TEXT, message=TEXT)),
        url=nullable({"type": "string", "description": "A signed link that needs no key"}),
    ),
    "VideoQuote": object_of(
        (
            "object",
            "model",
            "upstream",
            "price",
            "reserved",
            "currency",
            "expected_seconds",
            "seconds",
            "size",
        ),
        object={"const": "video.quote"},
        model=TEXT,
        upstream={"type": "string", "description": "The kind of upstream that is first in line for it now"},
        price=nullable(
            {"type": "string", "description": "The estimate; null where it is known only afterwards"}
        ),
        reserved={"type": "string", "description": "What would be reserved: another upstream may be dearer"},
        currency={"const": "USD"},
        expected_seconds=nullable({"type": "number", "minimum": 0}),
        seconds=TEXT,
        size=TEXT,
        fitted=FITTED,
        segments=list_of(
            {"type": "number", "description": "Seconds of each segment of a film that is joined"}
        ),
    ),
    "FilmProvenance": object_of(
        ("ai_generated", "labels", "sha256"),
        ai_generated=FLAG,
        labels=LABELS,
        sha256={"type": "string", "description": "Of the file's bytes"},
        vendor_marks=MARKS,
    ),
    "ProvenanceCheck": object_of(
        (),
        file={"type": "string", "format": "binary", "description": "The film; or `sha256`"},
        sha256={"type": "string", "description": "Of the film's bytes: 64 hex digits"},
    ),
    "Provenance": object_of(
        ("object", "sha256", "made_here", "marks"),
        object={"const": "content_provenance_check"},
        sha256=TEXT,
        made_here=FLAG,
        marks=nullable(MARKS),
        ai_generated=FLAG,
        labels=LABELS,
        model=TEXT,
        created_at=UNIX_SECONDS,
        video_id={"type": "string", "description": "Only for who had it made"},
    ),
    "VideoList": object_of(
        ("object", "data", "first_id", "last_id", "has_more"),
        object={"const": "list"},
        data=list_of(schema_ref("Video")),
        first_id=nullable(TEXT),
        last_id=nullable(TEXT),
        has_more=FLAG,
    ),
    "Receipt": object_of(
        ("receipt", "signature"),
        receipt=RECEIPT_CONTENT,
        signature=object_of(
            ("algorithm", "key", "value"), algorithm={"const": "Ed25519"}, key=TEXT, value=TEXT
        ),
    ),
    "ReceiptKeys": object_of(
        ("keys",),
        keys=list_of(
            object_of(
                ("kty", "crv", "x", "kid"), kty={"const": "OKP"}, crv={"const": "Ed25519"}, x=TEXT, kid=TEXT
            )
        ),
    ),
    "VideoDeleted": object_of(
        ("id", "object", "deleted"), id=TEXT, object={"const": "video.deleted"}, deleted={"const": True}
    ),
    **BATCH_SCHEMAS,
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "ProvenanceCheck": {"sha256": "0" * 64},
    "CreateVideo": {"model": "sora-2", "prompt": BOAT, "seconds": "4", "size": "1280x720"},
    "RemixVideo": {"prompt": "The same street at night"},
    "EditVideo": {"prompt": "Make it snow", "video": {"id": OWN_VIDEO}},
    "ExtendVideo": {"prompt": "The boat sails on", "seconds": "4", "video": {"id": OWN_VIDEO}},
    **BATCH_EXAMPLES,
}
TAGS = {
    "OpenAI Videos": "OpenAI's Videos API in full; its SDKs work with `base_url` and `api_key` changed.",
    "Batches": "OpenAI's Files and Batch APIs, for many videos in one file.",
}
