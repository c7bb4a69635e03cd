"""The HTTP client of all providers: paths joined to one configured origin, typed answers, classified errors."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx2

from app.errors import OutboundRefused, PollFailed, UpstreamError
from app.providers.http_errors import connection_error, poll_refused, submit_refused
from app.providers.http_messages import (
    Body,
    FormFile,
    OpenStream,
    RawAnswer,
    ResultDownload,
    UpstreamAnswer,
    UpstreamTimeouts,
)
from app.providers.reading import (
    ErrorDetail,
    clean_text,
    content_length,
    parse_json,
    read_error,
    validate_body,
)

Purpose = Literal["submit", "poll"]
"""A *submit* starts work that may cost money; a *poll* only asks."""
Query = Mapping[str, str | int]
Signer = Callable[[httpx2.Request], Mapping[str, str]]
"""Gives the headers that sign a finished request."""

JSON_LIMIT = 32 * 1024 * 1024
REDIRECTS = {301, 302, 303, 307, 308}
MOST_REDIRECTS = 3
REFUSED_STATUSES = {400, 404, 405, 409, 410, 422, 501}
"""Statuses of a DELETE or PUT that mean "not now", "not here" or "never": asking again changes nothing."""
SLOWEST_UPLOAD = 100_000
"""Bytes per second below which an upload is given up."""
NOT_ANSWERED = (httpx2.RequestError, httpx2.InvalidURL, httpx2.StreamError, TimeoutError, OutboundRefused)


class _SharedTransport(httpx2.AsyncBaseTransport):
    """Keeps a transport that others share open when one client of it is closed."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._transport.handle_async_request(request)


class UpstreamClient:
    """Requests to one upstream with one account's headers.

    The errors of a submit say whether the request may have been accepted; those of a poll are ``PollFailed``,
    ``OperationNotFound`` or ``UpstreamAuthFailed``. Whoever built ``transport`` closes it.
    """

    def __init__(
        self,
        transport: httpx2.AsyncBaseTransport,
        *,
        base_url: str,
        headers: Mapping[str, str],
        timeouts: UpstreamTimeouts | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeouts = timeouts or UpstreamTimeouts()
        self.json_limit = JSON_LIMIT
        """Bytes of an answer that are read; providers of vendors that put whole videos into JSON raise it."""
        self._transport = transport
        self._headers = dict(headers)
        # Proxy and .netrc variables of the environment could send the credential somewhere else.
        self._client = httpx2.AsyncClient(
            transport=_SharedTransport(transport), trust_env=False, follow_redirects=False
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    def client_for(self, base_url: str) -> "UpstreamClient":
        """A client for another origin of the same vendor, without any of our headers. The caller closes it."""
        return UpstreamClient(self._transport, base_url=base_url, headers={}, timeouts=self.timeouts)

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
        request = self._build_request(
            "POST", path, headers=headers, purpose=purpose, timeout=timeout, json=dict(body), params=params
        )
        if sign:
            request.headers.update(sign(request))
        raw = await self._send_request(request, purpose, headers)
        return self._parse_answer(raw, answer, purpose=purpose, headers=headers, even_if=even_if)

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
    ) -> UpstreamAnswer[Body]:
        """POST a multipart form; ``timeout`` in seconds, on top of the time its bytes need."""
        parts = [(file.name, (file.filename, file.content, file.content_type)) for file in files]
        size = sum(len(file.content) for file in files)
        timeout = (timeout or self.timeouts.submit) + size / SLOWEST_UPLOAD
        request = self._build_request(
            "POST", path, headers=headers, purpose="submit", timeout=timeout, data=dict(fields), files=parts
        )
        raw = await self._send_request(request, "submit", headers)
        return self._parse_answer(raw, answer, purpose="submit", headers=headers, even_if=even_if)

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
        request = self._build_request(
            "POST", path, headers=headers, purpose="submit", timeout=silence, json=dict(body)
        )
        try:
            async with asyncio.timeout(2 * self.timeouts.connect + self.timeouts.submit):
                response = await self._open_response(request, purpose="submit")
                if not response.is_success:
                    raise self._error_from(await self._read_body(response, "submit"), "submit", headers)
        except TimeoutError as error:
            raise connection_error(error, submits=True) from error
        return OpenStream(response.headers, _body_chunks(response), response.aclose)

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
        raw = await self._send_request(request, "poll", headers)
        return self._parse_answer(raw, answer, purpose="poll", headers=headers, even_if=even_if)

    async def probe_status(
        self, path: str, *, headers: Mapping[str, str] | None = None, bare: bool = False
    ) -> int:
        """The status that ``GET path`` is answered with; ``bare`` sends none of our headers. Raises ``PollFailed``
        when there is no answer."""
        request = self._build_request("GET", path, headers=headers, purpose="poll")
        if bare:
            for name in (*self._headers, *(headers or {})):
                request.headers.pop(name, None)
        response = await self._open_response(request, purpose="poll")
        await response.aclose()
        return response.status_code

    async def delete(self, path: str, *, headers: Mapping[str, str] | None = None) -> bool:
        """DELETE ``path``; True for any 2xx, False for ``REFUSED_STATUSES``. Raises like a poll."""
        return await self._send_bodyless("DELETE", path, headers)

    async def put(self, path: str, *, headers: Mapping[str, str] | None = None) -> bool:
        """PUT ``path`` without a body; returns and raises like ``delete``."""
        return await self._send_bodyless("PUT", path, headers)

    async def _send_bodyless(self, method: str, path: str, headers: Mapping[str, str] | None) -> bool:
        request = self._build_request(method, path, headers=headers, purpose="poll")
        raw = await self._send_request(request, "poll", headers)
        if raw.status in REFUSED_STATUSES:
            return False
        if not 200 <= raw.status < 300:
            raise self._error_from(raw, "poll", headers)
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
        response = await self._follow_redirects(request, headers)
        try:
            yield ResultDownload(
                content_type=response.headers.get("content-type", "").split(";")[0].strip().lower(),
                length=content_length(response.headers),
                chunks=_body_chunks(response),
            )
        finally:
            await response.aclose()

    async def _follow_redirects(
        self, request: httpx2.Request, headers: Mapping[str, str] | None
    ) -> httpx2.Response:
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._open_response(request, purpose="poll")
            if response.is_success:
                return response
            location = response.headers.get("location")
            if response.status_code not in REDIRECTS or not location:
                raise self._error_from(await self._read_body(response, "poll"), "poll", headers)
            await response.aclose()
            request = self._redirect_request(request, location)
        raise PollFailed("upstream redirects a result in circles")

    def _redirect_request(self, request: httpx2.Request, location: str) -> httpx2.Request:
        try:
            url = request.url.join(location)
        except httpx2.InvalidURL as error:
            raise PollFailed("upstream redirects a result to an address that can't be read") from error
        if url.scheme not in {"http", "https"} or (request.url.scheme == "https" and url.scheme == "http"):
            raise PollFailed("upstream redirects a result to an address that is not safe")
        ours = _origin_of(url) == _origin_of(httpx2.URL(self.base_url))
        headers = dict(request.headers) if ours else {"Accept": "*/*", "Accept-Encoding": "identity"}
        headers.pop("host", None)
        return self._client.build_request(
            "GET", url, headers=headers, timeout=self._request_timeout(self.timeouts.poll)
        )

    def _build_request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None,
        purpose: Purpose,
        timeout: float | None = None,
        **content: Any,
    ) -> httpx2.Request:
        seconds = timeout or (self.timeouts.submit if purpose == "submit" else self.timeouts.poll)
        merged = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **self._headers,
            **(headers or {}),
        }
        # A pasted key may hold any character; as bytes the upstream refuses it, as text we would crash.
        encoded = [(name.encode(), value.encode()) for name, value in merged.items()]
        return self._client.build_request(
            method,
            self.absolute_url(path),
            headers=encoded,
            timeout=self._request_timeout(seconds),
            **content,
        )

    def absolute_url(self, path: str) -> str:
        """``path`` joined to the configured origin. Raises ``ValueError`` for anything but a plain path,
        as an address in its place would take the credential along."""
        if not re.fullmatch(r"/[A-Za-z0-9\-._~%!$&'()*+,;=:@/]*", path):
            raise ValueError("a provider asked for something that is not a path")
        if path.startswith("//") or any(part in {".", ".."} for part in path.split("/")):
            raise ValueError("a provider asked for a path that leads elsewhere")
        return self.base_url + path

    def _request_timeout(self, seconds: float) -> httpx2.Timeout:
        connect = self.timeouts.connect
        return httpx2.Timeout(connect=connect, pool=connect, read=seconds, write=seconds)

    async def _send_request(
        self, request: httpx2.Request, purpose: Purpose, headers: Mapping[str, str] | None
    ) -> RawAnswer:
        # A server that drips one byte a second never meets a read timeout; this one counts the whole call.
        allowed = 2 * self.timeouts.connect + float(request.extensions["timeout"]["read"])
        try:
            async with asyncio.timeout(allowed):
                return await self._read_body(await self._open_response(request, purpose=purpose), purpose)
        except TimeoutError as error:
            raise connection_error(error, submits=purpose == "submit") from error

    async def _open_response(self, request: httpx2.Request, *, purpose: Purpose) -> httpx2.Response:
        try:
            return await self._client.send(request, stream=True)
        except NOT_ANSWERED as error:
            raise connection_error(error, submits=purpose == "submit") from error

    async def _read_body(self, response: httpx2.Response, purpose: Purpose) -> RawAnswer:
        content = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > self.json_limit:
                    raise httpx2.RemoteProtocolError("answer too long")
        except (httpx2.RequestError, httpx2.StreamError) as error:
            raise connection_error(error, submits=purpose == "submit") from error
        finally:
            await response.aclose()
        return RawAnswer(response.status_code, response.headers, bytes(content))

    def clean_text(self, text: str, headers: Mapping[str, str] | None = None) -> str:
        """``text`` of an upstream without our secrets and control characters, 500 characters at most."""
        return clean_text(text, _secret_words([*self._headers.values(), *(headers or {}).values()]))

    def _parse_answer(
        self,
        raw: RawAnswer,
        answer: type[Body],
        *,
        purpose: Purpose,
        headers: Mapping[str, str] | None,
        even_if: Callable[[Body], bool] | None = None,
    ) -> UpstreamAnswer[Body]:
        body = validate_body(answer, raw.content)
        if raw.status >= 400 and body is not None and even_if and even_if(body):
            return UpstreamAnswer(raw.status, raw.headers, body)
        if not 200 <= raw.status < 300:
            raise self._error_from(raw, purpose, headers)
        if body is None:
            # 2xx that can't be read: the work may well be done and billed.
            raise connection_error(ValueError("unreadable answer"), submits=purpose == "submit")
        return UpstreamAnswer(raw.status, raw.headers, body)

    def _error_from(
        self, raw: RawAnswer, purpose: Purpose, headers: Mapping[str, str] | None
    ) -> UpstreamError:
        error = read_error(parse_json(raw.content))
        if error:
            secrets = _secret_words([*self._headers.values(), *(headers or {}).values()])
            param = clean_text(error.param, secrets) if error.param else None
            error = ErrorDetail(clean_text(error.message, secrets), code=error.code, param=param)
        refused = submit_refused if purpose == "submit" else poll_refused
        return refused(raw.status, raw.headers, error)


async def _body_chunks(response: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_bytes():
            yield chunk
    except (httpx2.RequestError, httpx2.StreamError) as error:
        raise PollFailed(f"a result broke off ({type(error).__name__})") from error


def _secret_words(values: Iterable[str]) -> list[str]:
    """Header values and the last word of each (``Bearer …``) that have 8 characters or more, longest first."""
    words = {value.strip() for value in values} | {value.split()[-1] for value in values if value.split()}
    return sorted((word for word in words if len(word) >= 8), key=len, reverse=True)


def _origin_of(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
