"""A gateway with an endpoint per feature, in asynchronous mode (feature-endpoints manual)."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.vendors.gateway import GatewayServer, said

FEATURES = {
    "videos": {"generate", "transform", "remix", "storyboard"},
    "images": {"generate", "transform"},
}


class FeatureServer(GatewayServer):
    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/{scope}/{feature}", self.submit, methods=["POST"]),
            *self.task_routes(),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        scope, feature = request.path_params["scope"], request.path_params["feature"]
        fields = json.loads(seen.body)
        if feature not in FEATURES.get(scope, set()):
            return said(404, "Not found")
        for name, needed in (("image", "transform"), ("remix_target_id", "remix")):
            if feature == needed and not fields.get(name):
                return said(400, f"{name} is required", param=name)
        if fields.get("async_mode") is not True:
            return said(400, "this simulator only speaks the asynchronous mode", param="async_mode")
        job = self.accept(request, fields)
        return JSONResponse({"task_id": job.id, "status": "processing", "message": "accepted"})
