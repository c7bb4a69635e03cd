"""Calls of our own to text accounts, for the gates: ranked, cooled and logged as clients' calls are, charged to nobody."""

import json
import time
from collections.abc import Mapping
from typing import Any

from app import clock
from app.errors import ServiceUnavailable
from app.foreign import parse_json
from app.keys.key import ClientKey
from app.relay.decoding import BROKEN, collect_start, plain_chunks
from app.relay.endpoint_table import EndpointTable, UpstreamEndpoint
from app.relay.forwarding import read_token_counts
from app.relay.relay import NOTHING
from app.relay.request import RelayRequest, read_json_request
from app.relay.upstream import NeverSent, UpstreamClient, UpstreamRefusal
from app.relay.upstream_answer import UpstreamAnswer
from app.usage.recorder import UsageRecorder, UsageRow

MOST_BYTES = 1024 * 1024
HEADERS = [(b"content-type", b"application/json"), (b"accept", b"application/json")]


class GateCalls:
    """See ``TextCalls`` of the gates."""

    def __init__(self, endpoints: EndpointTable, upstreams: UpstreamClient, recorder: UsageRecorder) -> None:
        self._endpoints = endpoints
        self._upstreams = upstreams
        self._recorder = recorder

    async def ask(self, path: str, body: Mapping[str, Any], *, key: ClientKey, request_id: str) -> Any:
        request = await read_json_request(json.dumps(body).encode())
        usable = await self._endpoints.usable_endpoints(request.model, path)
        for endpoint in self._upstreams.sort_endpoints(usable):
            try:
                answer = await self._ask_endpoint(endpoint, request, key=key, request_id=request_id)
            except NeverSent:
                continue
            if isinstance(answer, bytes):
                return parse_json(answer)
            if await self._upstreams.record_refusal(answer) == "none":
                raise ServiceUnavailable(f"Its account refused the call with status {answer.status}.")
        raise await self._endpoints.unavailable_error(request.model, path)

    async def _ask_endpoint(
        self, endpoint: UpstreamEndpoint, request: RelayRequest, *, key: ClientKey, request_id: str
    ) -> bytes | UpstreamRefusal:
        """The whole answer, or the refusal; either stands in the log of requests."""
        headers = [*HEADERS, (b"x-request-id", request_id.encode())] if request_id else HEADERS
        began, content = time.perf_counter(), b""
        self._upstreams.call_started(endpoint)
        try:
            answer = await self._upstreams.send_request(endpoint, request, headers)
            if isinstance(answer, UpstreamAnswer):
                content = await _read_whole(answer)
        finally:
            self._upstreams.call_ended(endpoint)
        self._record(endpoint, answer.status, key=key, request_id=request_id, began=began, content=content)
        return content if isinstance(answer, UpstreamAnswer) else answer

    def _record(
        self,
        endpoint: UpstreamEndpoint,
        status: int,
        *,
        key: ClientKey,
        request_id: str,
        began: float,
        content: bytes,
    ) -> None:
        """In the log of requests, at no cost: the client did not ask for it."""
        read, written = read_token_counts(content)
        self._recorder.add_row(
            UsageRow(
                at=clock.now(),
                key_id=key.id,
                account_id=endpoint.account.id,
                model=endpoint.model,
                path=f"/v1/{endpoint.path}",
                status=status,
                milliseconds=(time.perf_counter() - began) * 1000,
                input_tokens=read,
                output_tokens=written,
                cost=NOTHING,
                request_id=request_id,
                project_id=key.project_id,
            )
        )


async def _read_whole(answer: UpstreamAnswer) -> bytes:
    """Raises ``ServiceUnavailable``, also for an answer that is too long."""
    pieces: list[bytes] = []
    try:
        await collect_start(plain_chunks(answer), pieces, most=MOST_BYTES)
    except BROKEN as error:
        raise ServiceUnavailable("Its account broke off the answer.") from error
    finally:
        answer.close()
    content = b"".join(pieces)
    if len(content) >= MOST_BYTES:
        raise ServiceUnavailable("Its account's answer is too long.")
    return content
