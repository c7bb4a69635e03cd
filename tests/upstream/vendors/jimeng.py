"""Jimeng as it answers: one path, two actions, ``{code, message, data}``, and signatures that are checked.

The signature is computed anew with the vendor's own signer (volcengine), so a request that it would not have
made is refused.
"""

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from volcengine.auth.MetaData import MetaData
from volcengine.auth.SignerV4 import SignerV4
from volcengine.base.Request import Request as SdkRequest
from volcengine.util.Util import Util

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.front import ScriptedServer

SUBMIT, RESULT = "CVSync2AsyncSubmitTask", "CVSync2AsyncGetResult"
CREDENTIAL = re.compile(
    r"HMAC-SHA256 Credential=([^/]+)/(\d{8})/cn-north-1/cv/request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
FIELDS = {
    "req_key", "prompt", "seed", "frames", "aspect_ratio", "image_urls", "binary_data_base64", "template_id",
    "camera_strength",
}  # fmt: skip
PICTURES = {
    "jimeng_t2v_v30": (0,), "jimeng_t2v_v30_1080p": (0,), "jimeng_i2v_first_v30": (1,),
    "jimeng_i2v_first_v30_1080": (1,), "jimeng_i2v_first_tail_v30": (2,), "jimeng_i2v_first_tail_v30_1080": (2,),
    "jimeng_i2v_recamera_v30": (1,), "jimeng_ti2v_v30_pro": (0, 1), "jimeng_vgfm_t2v_l20": (0,),
    "jimeng_vgfm_i2v_l20": (1,),
}  # fmt: skip
"""How many pictures each req_key takes."""
RATIOS = {"16:9", "4:3", "1:1", "3:4", "9:16", "21:9"}
HTTP = {50429: 429, 50430: 429, 50500: 500, 50501: 500}


class JimengServer(ScriptedServer):
    """``signers`` are access keys with their secret keys."""

    done = "done"
    signers: dict[str, str] = {"AKLTcontract0123": "sk-contract-0123456789"}  # noqa: RUF012

    def routes(self) -> list[BaseRoute]:
        return [Route("/", self.act, methods=["POST"]), Route("/files/{name}", self.file, methods=["GET"])]

    async def act(self, request: Request) -> Response:
        seen = await self.record_request(request)
        looks = seen.query.get("Action") == RESULT
        refusal = self.take_refusal(polls=looks) or self.unauthorized(request, seen.body)
        if refusal:
            return refusal
        if seen.query.get("Version") != "2022-08-31" or seen.query.get("Action") not in {SUBMIT, RESULT}:
            return gateway(404, "InvalidActionOrVersion", "Could not find operation")
        fields = json.loads(seen.body)
        return self.looked_at(fields) if looks else self.accepted(fields)

    async def file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def accepted(self, fields: dict[str, Any]) -> Response:
        if not is_valid(fields):
            return said(50215, "Input invalid for this service.")
        job = self.create_job(fields, job_id=str(7_392_616_336_519_610_409 + len(self.jobs)))
        return said(10000, "Success", {"task_id": job.id})

    def looked_at(self, fields: dict[str, Any]) -> Response:
        job = self.jobs.get(fields.get("task_id", ""))
        if job is None or job.fields["req_key"] != fields.get("req_key"):
            return said(10000, "Success", {"status": "not_found"})
        word = str(job.next_state())
        if word == "failed":
            return self.failed()
        data: dict[str, Any] = {
            "status": word,
            "binary_data_base64": None,
            "image_urls": None,
            "resp_data": "",
        }
        if word == "done":
            data["video_url"] = f"{self.url}/files/{job.id}.mp4"
        return said(10000, "Success", data)

    def failed(self) -> Response:
        """What a filter stopped has no data; what broke is ``done`` and has a code."""
        code, message = self.failure.get("code"), self.failure.get("message", "")
        if isinstance(code, int):
            return said(code, message)
        return said(50500, message, {"status": "done"})

    def unauthorized(self, request: Request, body: bytes) -> Response | None:
        found = CREDENTIAL.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            return gateway(401, "MissingAuthenticationToken", "Request is missing Authentication Token")
        access, day, names, signature = found.groups()
        if access not in self.signers or (self.keys is not None and access not in self.keys):
            return gateway(401, "InvalidClientTokenId", f"The security token {access} is invalid")
        if signature != expected(request, body, day=day, names=names.split(";"), secret=self.signers[access]):
            return gateway(401, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        return None


def is_valid(fields: dict[str, Any]) -> bool:
    key, pictures = fields.get("req_key"), fields.get("binary_data_base64", fields.get("image_urls", []))
    if set(fields) - FIELDS or not key or "prompt" not in fields:
        return False
    if key not in PICTURES:
        return True
    template = "template_id" in fields or key != "jimeng_i2v_recamera_v30"
    shaped = fields.get("aspect_ratio", "16:9") in RATIOS and not (pictures and "aspect_ratio" in fields)
    length = fields.get("frames", 121) in ({121} if key.endswith("l20") else {121, 241})
    return template and shaped and length and len(pictures) in PICTURES[key]


def expected(request: Request, body: bytes, *, day: str, names: list[str], secret: str) -> str:
    again = SdkRequest()
    again.method, again.path, again.body = request.method, request.url.path, body
    again.query = dict(request.query_params)
    again.headers = {name.title(): request.headers[name] for name in names}
    again.headers["X-Date"] = request.headers["x-date"]
    scope = MetaData()
    hashed = SignerV4.hashed_canonical_request_v4(again, scope)
    text = "\n".join(
        ["HMAC-SHA256", request.headers["x-date"], f"{day}/cn-north-1/cv/request", hashed],
    )
    key = SignerV4.get_signing_secret_key_v4(secret, day, "cn-north-1", "cv")
    return str(Util.to_hex(Util.hmac_sha256(key, text)))


def said(code: int, message: str, data: dict[str, Any] | None = None) -> Response:
    status = 200 if code == 10000 else HTTP.get(code, 400)
    document = {"code": code, "data": data, "message": message, "request_id": "r-1", "status": code}
    return JSONResponse(document | {"time_elapsed": "36.799829ms"}, status)


def gateway(status: int, code: str, message: str) -> Response:
    error = {"CodeN": 100010, "Code": code, "Message": message}
    metadata = {
        "RequestId": "r-1",
        "Action": SUBMIT,
        "Version": "2022-08-31",
        "Service": "cv",
        "Region": "cn-north-1",
    }
    return JSONResponse({"ResponseMetadata": metadata | {"Error": error}}, status)
