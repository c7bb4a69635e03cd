"""The HTTP client of all providers: paths joined to one configured origin, typed answers, classified errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Literal, TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from app import USER_AGENT
from app.errors import PollFailed, UpstreamError
from app.foreign import parse_json
from app.providers.addresses import address_of, checked_path, split_credential
from app.providers.forms import form_body, url_encoded_body
from app.providers.http_errors import connection_error, poll_refused, submit_refused
from app.providers.http_messages import (
    Body,
    FormFile,
    OpenStream,
    RawAnswer,
    ResultDownload,
    UpstreamAnswer,
    UpstreamTimeouts,
    keep_pace,
)
from app.providers.reading import content_length, read_error, redact_text, validate_body
from app.providers.transport import CONNECTION_BROKEN, OpenAnswer, OutgoingRequest, UpstreamTransport

Purpose = Literal["submit", "poll"]
"""A *submit* starts work that may cost money; a *poll* only asks."""
Query = Mapping[str, str | int]
Signer = Callable[[OutgoingRequest], Mapping[str, str]]
"""Gives the headers that sign a finished request."""

Read = TypeVar("Read")

JSON_LIMIT = 32 * 1024 * 1024
LOOP_BYTES = 64 * 1024
"""Answers up to this size are read on the event loop."""
REDIRECTS = {301, 302, 303, 307, 308}
MOST_REDIRECTS = 3
REFUSED_STATUSES = {400, 404, 405, 409, 410, 422, 501}
"""Statuses of a DELETE or PUT that mean "not now", "not here" or "never": asking again changes nothing."""
SLOWEST_UPLOAD = 100_000
"""Bytes per second below which an upload is given up."""
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the client's request that the work is done for: sent along, so that the vendor's log can be searched for it."""
TRACEPARENT: ContextVar[str] = ContextVar("traceparent", default="")
"""Where in its trace the work stands (W3C Trace Context): sent along as well, so that the vendor's spans join it."""
SENT_ALWAYS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}


class UpstreamClient:
    """Requests to one upstream with one account's headers.

    The errors of a submit say whether the request may have been accepted; those of a poll are ``PollFailed``,
    ``OperationNotFound`` or ``UpstreamAuthFailed``. Whoever built ``transport`` closes it.
    """

    def __init__(
        self,
        transport: UpstreamTransport,
        *,
        base_url: str,
        headers: Mapping[str, str],
        timeouts: UpstreamTimeouts | None = None,
        is_foreign: bool = False,
    ) -> None:
        """``is_foreign``: a server that is told nothing but what it is asked."""
        self._is_foreign = is_foreign
        self.base_url = base_url.rstrip("/")
        self.timeouts = timeouts or UpstreamTimeouts()
        self.json_limit = JSON_LIMIT
        """Bytes of an answer that are read; providers of vendors that put whole videos into JSON raise it."""
        self._transport = transport
        self._headers = dict(headers)
        self._base, credential = split_credential(self.base_url)
        self._sent_always = CIMultiDict({**SENT_ALWAYS, **self._headers, **credential})

    def client_for(self, base_url: str) -> "UpstreamClient":
        """A client for another origin of the same vendor, without any of our headers."""
        return UpstreamClient(
            self._transport, base_url=base_url, headers={}, timeouts=self.timeouts, is_foreign=True
        )

    async def post_json(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        answer: type[Body],
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        purpose: Purpose = "submit",
        params: Query | None = None,
        sign: Signer | None = None,
        even_if: Callable[[Body], bool] | None = None,
    ) -> UpstreamAnswer[Body]:
        """POST ``body`` as JSON; ``timeout`` in seconds. ``purpose="poll"`` is for vendors that are polled by POST.

        ``even_if`` as for ``get``: for vendors whose own error codes say more than the HTTP status.
        """
        request = self._json_request(
            path, body, headers=headers, purpose=purpose, timeout=timeout, params=params
        )
        if sign:
            request.headers.update(sign(request))
        raw = await self._send_request(request, purpose)
        return await self._parse_answer(raw, answer, purpose=purpose, headers=headers, even_if=even_if)

    async def post_form(
        self,
        path: str,
        fields: Mapping[str, str],
        *,
        files: Sequence[FormFile],
        answer: type[Body],
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        even_if: Callable[[Body], bool] | None = None,
        encoded: bool = False,
    ) -> UpstreamAnswer[Body]:
        """POST a multipart form, also without ``files``; ``timeout`` in seconds, on top of the time its bytes need.
        ``encoded``: a URL-encoded form, which OAuth's token addresses want."""
        size = sum(len(file.content) for file in files)
        timeout = (timeout or self.timeouts.submit) + size / SLOWEST_UPLOAD
        request = self._build_request("POST", path, headers=headers, purpose="submit", timeout=timeout)
        described, request.content = url_encoded_body(fields) if encoded else form_body(fields, files)
        request.headers.update(described)
        raw = await self._send_request(request, "submit")
        return await self._parse_answer(raw, answer, purpose="submit", headers=headers, even_if=even_if)

    async def post_stream(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        silence: float,
    ) -> OpenStream:
        """POST ``body`` and leave the answer open, for vendors that report their progress in a stream.

        Raises like a submit until the answer has begun; reading it raises ``PollFailed``, also when
        nothing comes for ``silence`` seconds.
        """
        request = self._json_request(path, body, headers=headers, purpose="submit", timeout=silence)
        try:
            async with asyncio.timeout(2 * self.timeouts.connect + self.timeouts.submit):
                response = await self._open_response(request, purpose="submit")
                if not _is_success(response):
                    raise await self._error_from(await self._read_body(response, "submit"), "submit", headers)
        except TimeoutError as error:
            raise connection_error(error, submits=True) from error

        async def close() -> None:
            response.close()

        return OpenStream(response.headers, _body_chunks(response), close)

    async def get(
        self,
        path: str,
        *,
        answer: type[Body],
        params: Query | None = None,
        headers: Mapping[str, str] | None = None,
        even_if: Callable[[Body], bool] | None = None,
    ) -> UpstreamAnswer[Body]:
        """GET ``path``. An error status is an answer too when its body can be read and ``even_if`` is true of it."""
        request = self._build_request("GET", path, headers=headers, purpose="poll", params=params)
        raw = await self._send_request(request, "poll")
        return await self._parse_answer(raw, answer, purpose="poll", headers=headers, even_if=even_if)

    async def probe(
        self, path: str, *, headers: Mapping[str, str] | None = None, bare: bool = False
    ) -> RawAnswer:
        """What ``GET path`` is answered, whatever the status; ``bare`` sends none of our headers. Raises ``PollFailed``
        when there is no answer."""
        request = self._build_request("GET", path, headers=headers, purpose="poll")
        if bare:
            for name in (*self._headers, *(headers or {})):
                request.headers.pop(name, None)
        return await self._send_request(request, "poll")

    async def delete(self, path: str, *, headers: Mapping[str, str] | None = None) -> bool:
        """DELETE ``path``; True for any 2xx, False for ``REFUSED_STATUSES``. Raises like a poll."""
        return await self._send_bodyless("DELETE", path, headers)

    async def put(self, path: str, *, headers: Mapping[str, str] | None = None) -> bool:
        """PUT ``path`` without a body; returns and raises like ``delete``."""
        return await self._send_bodyless("PUT", path, headers)

    async def _send_bodyless(self, method: str, path: str, headers: Mapping[str, str] | None) -> bool:
        request = self._build_request(method, path, headers=headers, purpose="poll")
        raw = await self._send_request(request, "poll")
        if raw.status in REFUSED_STATUSES:
            return False
        if not 200 <= raw.status < 300:
            raise await self._error_from(raw, "poll", headers)
        return True

    @asynccontextmanager
    async def open_download(
        self, path: str, *, params: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[ResultDownload]:
        """Open ``path`` to read its bytes. Raises like a poll, while opening and while reading.

        Up to three redirects are followed, as gateways keep results at a CDN; our headers are sent only to the
        configured origin.
        """
        # Compressed, a small answer could grow without measure here, and a length would not be the length.
        wanted = {**(headers or {}), "Accept-Encoding": "identity", "Accept": "*/*"}
        request = self._build_request("GET", path, headers=wanted, purpose="poll", params=params)
        try:
            # A head that drips never meets a read timeout; twice the time, as a result may lie behind redirects.
            async with asyncio.timeout(2 * (self.timeouts.connect + self.timeouts.poll)):
                response = await self._follow_redirects(request, headers)
        except TimeoutError as error:
            raise connection_error(error, submits=False) from error
        try:
            yield ResultDownload(
                content_type=response.headers.get("content-type", "").split(";")[0].strip().lower(),
                length=content_length(response.headers),
                chunks=keep_pace(_body_chunks(response), self.timeouts.download),
            )
        finally:
            response.close()

    async def _follow_redirects(
        self, request: OutgoingRequest, headers: Mapping[str, str] | None
    ) -> OpenAnswer:
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._open_response(request, purpose="poll")
            if _is_success(response):
                return response
            location = response.headers.get("location")
            if response.status not in REDIRECTS or not location:
                raise await self._error_from(await self._read_body(response, "poll"), "poll", headers)
            response.close()
            request = self._redirect_request(request, location)
        raise PollFailed("upstream redirects a result in circles")

    def _redirect_request(self, request: OutgoingRequest, location: str) -> OutgoingRequest:
        try:
            # What stands before an @ would become a credential.
            url = request.url.join(URL(location)).with_user(None).with_fragment(None)
        except ValueError as error:
            raise PollFailed("upstream redirects a result to an address that can't be read") from error
        if url.scheme not in {"http", "https"} or (request.url.scheme == "https" and url.scheme == "http"):
            raise PollFailed("upstream redirects a result to an address that is not safe")
        ours = url.origin() == URL(self._base).origin()
        plain = {**SENT_ALWAYS, "Accept": "*/*"}
        return replace(
            request, url=url, headers=request.headers if ours else CIMultiDict(plain), is_foreign=not ours
        )

    def _build_request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None,
        purpose: Purpose,
        timeout: float | None = None,
        params: Query | None = None,
    ) -> OutgoingRequest:
        seconds = timeout or (self.timeouts.submit if purpose == "submit" else self.timeouts.poll)
        merged = self._sent_always.copy()
        if (request_id := REQUEST_ID.get()) and not self._is_foreign:
            merged["X-Request-Id"] = request_id
        if (traceparent := TRACEPARENT.get()) and not self._is_foreign:
            merged["traceparent"] = traceparent
        if headers:
            merged.update(headers)
        try:
            url = address_of(self._base, path)
        except ValueError as error:
            if purpose == "submit":
                raise
            # The vendor's own name for its work is a part of the path.
            raise PollFailed("the upstream calls its work by a name that no address can hold") from error
        return OutgoingRequest(
            method,
            url.with_query(params) if params else url,
            merged,
            connect_seconds=self.timeouts.connect,
            read_seconds=seconds,
        )

    def _json_request(self, path: str, body: Mapping[str, Any], **options: Any) -> OutgoingRequest:
        """``options`` as for ``_build_request``."""
        request = self._build_request("POST", path, **options)
        request.headers["Content-Type"] = "application/json"
        request.content = json.dumps(
            dict(body), ensure_ascii=False, separators=(",", ":"), allow_nan=False
        ).encode()
        return request

    def absolute_url(self, path: str) -> str:
        """``path`` joined to the configured origin. Raises ``ValueError`` for anything but a plain path,
        as an address in its place would take the credential along."""
        return self.base_url + checked_path(path)

    async def _send_request(self, request: OutgoingRequest, purpose: Purpose) -> RawAnswer:
        # A server that drips one byte a second never meets a read timeout; this one counts the whole call.
        allowed = 2 * request.connect_seconds + request.read_seconds
        try:
            async with asyncio.timeout(allowed):
                return await self._read_body(await self._open_response(request, purpose=purpose), purpose)
        except TimeoutError as error:
            raise connection_error(error, submits=purpose == "submit") from error

    async def _open_response(self, request: OutgoingRequest, *, purpose: Purpose) -> OpenAnswer:
        try:
            return await self._transport.open(request)
        except CONNECTION_BROKEN as error:
            raise connection_error(error, submits=purpose == "submit") from error

    async def _read_body(self, response: OpenAnswer, purpose: Purpose) -> RawAnswer:
        try:
            content, size = [], 0
            while chunk := await response.read_some():
                content.append(chunk)
                size += len(chunk)
                if size > self.json_limit:
                    raise aiohttp.ClientPayloadError("answer too long")
        except CONNECTION_BROKEN as error:
            raise connection_error(error, submits=purpose == "submit") from error
        finally:
            response.close()
        return RawAnswer(response.status, response.headers, b"".join(content))

    def clean_text(self, text: str, headers: Mapping[str, str] | None = None) -> str:
        """``text`` of an upstream without our secrets and control characters, 500 characters at most."""
        return redact_text(text, _secret_words([*self._headers.values(), *(headers or {}).values()]))

    async def _parse_answer(
        self,
        raw: RawAnswer,
        answer: type[Body],
        *,
        purpose: Purpose,
        headers: Mapping[str, str] | None,
        even_if: Callable[[Body], bool] | None = None,
    ) -> UpstreamAnswer[Body]:
        body = await _off_the_loop(raw.content, lambda content: validate_body(answer, content))
        if raw.status >= 400 and body is not None and even_if and even_if(body):
            return UpstreamAnswer(raw.status, raw.headers, body)
        if not 200 <= raw.status < 300:
            raise await self._error_from(raw, purpose, headers)
        if body is None:
            # 2xx that can't be read: the work may well be done and billed.
            raise connection_error(ValueError("unreadable answer"), submits=purpose == "submit")
        return UpstreamAnswer(raw.status, raw.headers, body)

    async def _error_from(
        self, raw: RawAnswer, purpose: Purpose, headers: Mapping[str, str] | None
    ) -> UpstreamError:
        error = read_error(await _off_the_loop(raw.content, parse_json))
        if error:
            secrets = _secret_words([*self._headers.values(), *(headers or {}).values()])
            param = redact_text(error.param, secrets) if error.param else None
            error = replace(error, message=redact_text(error.message, secrets), param=param)
        refused = submit_refused if purpose == "submit" else poll_refused
        return refused(raw.status, raw.headers, error)


async def _off_the_loop(content: bytes, read: Callable[[bytes], Read]) -> Read:
    """``read`` of a small answer, or of a large one in a thread: other tasks go on meanwhile."""
    return read(content) if len(content) <= LOOP_BYTES else await asyncio.to_thread(read, content)


async def _body_chunks(response: OpenAnswer) -> AsyncIterator[bytes]:
    try:
        while chunk := await response.read_some():
            yield chunk
    except CONNECTION_BROKEN as error:
        raise PollFailed(f"a result broke off ({type(error).__name__})") from error


def _is_success(response: OpenAnswer) -> bool:
    return 200 <= response.status < 300


def _secret_words(values: Iterable[str]) -> list[str]:
    """Header values and the last word of each (``Bearer …``) that have 8 characters or more, longest first."""
    words = {value.strip() for value in values} | {value.split()[-1] for value in values if value.split()}
    return sorted((word for word in words if len(word) >= 8), key=len, reverse=True)
