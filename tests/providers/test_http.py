"""The one way out: what may leave, what each failure means, and where the credential goes."""

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.errors import (
    LocalConnectionsExhausted,
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    RequestBlocked,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelForbidden,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamUnreachable,
)
from app.media.guard import OutboundGuard
from app.providers.http import UpstreamClient
from app.providers.http_errors import poll_refused, submit_refused
from app.providers.http_messages import DownloadPace, FormFile, UpstreamTimeouts
from app.providers.reading import read_error, redact_text, retry_after_of
from app.providers.transport import NotConnected, OutgoingRequest, UpstreamTransport
from tests.media.test_fetch import raw_server
from tests.upstream import FakeUpstream
from tests.upstream.transport import loopback_transport

SECRET = "sk-http-0123456789abcdef"
BODY = {"prompt": "A kite"}
ROOT = Path(__file__).parent.parent.parent
GEMINI_KEY = [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]
XAI_KEY = {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***00."}
POST_ONCE = """
import asyncio, sys
from pydantic import BaseModel
from app.media.guard import OutboundGuard
from app.media.guard import OutboundGuard
from app.providers.http import UpstreamClient

class Read(BaseModel):
    id: str

async def main():
    async with OutboundGuard(("127.0.0.1",)).upstream_transport() as transport:
        client = UpstreamClient(transport, base_url=sys.argv[1], headers={})
        await client.post_json("/v1/videos", {"prompt": "A kite"}, answer=Read)

asyncio.run(main())
"""


class Read(BaseModel):
    id: str = ""


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def transport() -> AsyncIterator[UpstreamTransport]:
    async with loopback_transport() as transport:
        yield transport


@pytest.fixture
def client(upstream: FakeUpstream, transport: UpstreamTransport) -> UpstreamClient:
    headers = {"Authorization": f"Bearer {SECRET}"}
    return UpstreamClient(transport, base_url=f"{upstream.url}/v1/", headers=headers)


# ---- paths and credentials ----


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.test/", "//evil.test/x", "videos", "", "/a/../b", "/..", "/.", "/a b", "/a\r\nHost: x",
        "/a?b=c", "/a#b", "/a\\b", "@evil.test/", "/ü",
    ],
)  # fmt: skip
async def test_only_paths(client: UpstreamClient, upstream: FakeUpstream, path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        await client.post_json(path, BODY, answer=Read)
    with pytest.raises(
        PollFailed, match="no address"
    ):  # an upstream's own name for its work may be one of these
        await client.get(path, answer=Read)
    assert upstream.counters().requests == {}


async def test_a_path_is_joined_to_the_base(client: UpstreamClient, upstream: FakeUpstream) -> None:
    answer = await client.post_json("/videos", BODY, answer=Read, headers={"X-Trace": "1"})
    seen = upstream.counters().last["create"]
    assert answer.body.id
    assert answer.headers["CONTENT-TYPE"] == "application/json"
    assert seen.path == "/v1/videos"
    assert seen.headers["authorization"] == f"Bearer {SECRET}"
    assert seen.headers["x-trace"] == "1"
    assert seen.headers["accept-encoding"] == "identity"


async def test_params_are_a_query(client: UpstreamClient, upstream: FakeUpstream) -> None:
    await client.get("/videos", answer=Read, params={"limit": 1, "after": "a&b"})
    assert upstream.counters().last["list"].path == "/v1/videos?limit=1&after=a%26b"


async def test_the_environment_does_not_steer(upstream: FakeUpstream) -> None:
    with FakeUpstream() as proxy:
        steering = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), proxy.url)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", POST_ONCE, upstream.url, env={**os.environ, **steering}, cwd=ROOT
        )
        assert await child.wait() == 0
        assert proxy.counters().requests == {}
    assert upstream.counters().jobs == 1


@pytest.mark.parametrize("key", ["sk-bad\r\nX-Evil: 1", "sk-bad\x00zero"])
async def test_a_key_that_breaks_the_header(
    upstream: FakeUpstream, transport: UpstreamTransport, key: str
) -> None:
    client = UpstreamClient(transport, base_url=upstream.url, headers={"Authorization": f"Bearer {key}"})
    with pytest.raises(UpstreamUnreachable) as caught:
        await client.post_json("/v1/videos", BODY, answer=Read)
    assert key not in str(caught.value)
    assert upstream.counters().requests == {}


async def test_a_key_of_any_script(upstream: FakeUpstream, transport: UpstreamTransport) -> None:
    client = UpstreamClient(transport, base_url=upstream.url, headers={"Authorization": "Bearer ключ-密钥"})
    await client.post_json("/v1/videos", BODY, answer=Read)
    assert upstream.counters().last["create"].headers["authorization"] == "Bearer ключ-密钥"


# ---- answers ----


async def test_form(client: UpstreamClient, upstream: FakeUpstream) -> None:
    content = bytes(range(256)) * 4096
    file = FormFile("input_reference", content, "image/png", "a.png")
    await client.post_form("/videos", BODY, files=[file], answer=Read)
    seen = upstream.counters().last["create"]
    assert seen.files == {"input_reference": [f"image/png;{len(content)}"]}
    assert seen.fields == BODY


async def test_poll_by_post_is_a_look(client: UpstreamClient, upstream: FakeUpstream) -> None:
    upstream.fault("create", do="reset")
    with pytest.raises(PollFailed):
        await client.post_json("/videos", BODY, answer=Read, purpose="poll")


async def test_signed_as_it_is_sent(client: UpstreamClient, upstream: FakeUpstream) -> None:
    signed: list[object] = []

    def sign(request: OutgoingRequest) -> dict[str, str]:
        signed.append(request.content)
        return {"X-Signature": f"{request.method} {request.url.path}?{request.url.query_string}"}

    await client.post_json("/videos", {"prompt": "风筝"}, answer=Read, params={"Action": "Make"}, sign=sign)
    seen = upstream.counters().last["create"]
    assert signed == ['{"prompt":"风筝"}'.encode()]
    assert seen.headers["x-signature"] == "POST /v1/videos?Action=Make"
    assert seen.fields == {"prompt": "风筝"}


async def test_an_error_status_with_an_answer_in_it(client: UpstreamClient, upstream: FakeUpstream) -> None:
    """For vendors whose codes say more than the status; what ``even_if`` does not know stays a refusal."""
    file = FormFile("image", b"png", "image/png", "a.png")
    for body, is_answer in (({"id": "1102"}, True), ({"id": ""}, False)):
        upstream.fault("create", status=429, body=body, times=2)
        for form in (False, True):
            if form:
                call = client.post_form(
                    "/videos", BODY, files=[file], answer=Read, even_if=lambda said: said.id != ""
                )
            else:
                call = client.post_json("/videos", BODY, answer=Read, even_if=lambda said: said.id != "")
            if is_answer:
                assert (await call).status == 429
            else:
                with pytest.raises(UpstreamBusy):
                    await call
    assert client.clean_text(f"no, {SECRET}") == "no, [secret]"


async def test_empty_2xx_reads_as_nothing(client: UpstreamClient, upstream: FakeUpstream) -> None:
    upstream.fault("poll", status=202, text="")
    answer = await client.get("/videos/x", answer=Read)
    assert (answer.status, answer.body) == (202, Read())


async def test_json_of_another_shape(client: UpstreamClient, upstream: FakeUpstream) -> None:
    upstream.fault("create", status=200, body=["not", "an", "object"])
    with pytest.raises(OutcomeUnknown):
        await client.post_json("/videos", BODY, answer=Read)


async def test_deep_json_is_only_unreadable(client: UpstreamClient, upstream: FakeUpstream) -> None:
    upstream.fault("create", status=500, text="[" * 200_000)
    with pytest.raises(OutcomeUnknown):
        await client.post_json("/videos", BODY, answer=Read)


async def test_download_says_type_and_length(client: UpstreamClient, upstream: FakeUpstream) -> None:
    upstream.script(video_bytes=1000)
    created = await client.post_json("/videos", BODY, answer=Read)
    async with client.open_download(f"/videos/{created.body.id}/content") as download:
        assert (download.content_type, download.length) == ("video/mp4", 1000)
        assert sum([len(chunk) async for chunk in download.chunks]) == 1000
    assert upstream.counters().last["content"].headers["accept-encoding"] == "identity"


async def test_download_left_early_frees_its_connection(upstream: FakeUpstream) -> None:
    upstream.script(video_bytes=20_000_000)
    async with loopback_transport(limit=1) as transport:
        client = UpstreamClient(transport, base_url=f"{upstream.url}/v1", headers={})
        created = await client.post_json("/videos", BODY, answer=Read)
        for _ in range(3):
            async with client.open_download(f"/videos/{created.body.id}/content") as download:
                assert await anext(download.chunks)


async def test_a_result_that_comes_too_slowly_is_a_failed_attempt(
    upstream: FakeUpstream, transport: UpstreamTransport
) -> None:
    pace = DownloadPace(least_speed=1000, window_seconds=0.3, whole_seconds=60)
    timeouts = UpstreamTimeouts(download=pace)
    client = UpstreamClient(transport, base_url=f"{upstream.url}/v1", headers={}, timeouts=timeouts)
    created = await client.post_json("/videos", BODY, answer=Read)
    upstream.fault("content", do="drip", delay=0.05)
    with pytest.raises(PollFailed, match="more slowly than 1000 bytes"):
        async with client.open_download(f"/videos/{created.body.id}/content") as download:
            async for _ in download.chunks:
                pass


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 500 No\r\n\r\n"], ids=["head", "error"]
)
async def test_a_head_or_an_error_that_drips_is_given_up(transport: UpstreamTransport, head: bytes) -> None:
    timeouts = UpstreamTimeouts(connect=0.1, poll=0.1)
    async with raw_server(head, *[b"x"] * 1000, pause=0.02) as address:
        client = UpstreamClient(transport, base_url=address, headers={}, timeouts=timeouts)
        with pytest.raises(PollFailed):
            async with client.open_download("/film"):
                pass
        if b"200" in head:
            with pytest.raises(PollFailed):
                await client.probe("/film")


async def test_a_full_pool_was_never_sent(upstream: FakeUpstream) -> None:
    upstream.fault("create", do="hang")
    async with loopback_transport(limit=1) as transport:
        patient = UpstreamClient(transport, base_url=f"{upstream.url}/v1", headers={})
        hasty = UpstreamClient(
            transport, base_url=f"{upstream.url}/v1", headers={}, timeouts=UpstreamTimeouts(connect=0.2)
        )
        first = asyncio.create_task(patient.post_json("/videos", BODY, answer=Read))
        await upstream.until(lambda counters: counters.requests == {"create": 1})
        with pytest.raises(LocalConnectionsExhausted):
            await hasty.post_json("/videos", BODY, answer=Read)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert upstream.counters().requests == {"create": 1}


async def test_tls_to_a_server_without_it(upstream: FakeUpstream, transport: UpstreamTransport) -> None:
    base = upstream.url.replace("http:", "https:")
    client = UpstreamClient(transport, base_url=base, headers={})
    with pytest.raises(UpstreamUnreachable) as caught:
        await client.post_json("/v1/videos", BODY, answer=Read)
    assert isinstance(caught.value.__cause__, NotConnected)
    assert ssl.SSLError.__name__ not in str(caught.value)


async def test_the_guard_reads_like_unreachable() -> None:
    transport = OutboundGuard().upstream_transport()
    client = UpstreamClient(transport, base_url="http://10.0.0.1", headers={})
    with pytest.raises(UpstreamUnreachable):
        await client.post_json("/v1/videos", BODY, answer=Read)
    with pytest.raises(PollFailed):
        await client.get("/v1/videos/x", answer=Read)
    with pytest.raises(PollFailed):
        async with client.open_download("/v1/videos/x/content"):
            pass
    await transport.aclose()


async def test_an_address_nobody_knows(transport: UpstreamTransport) -> None:
    client = UpstreamClient(transport, base_url="http://nobody.invalid", headers={})
    with pytest.raises(UpstreamUnreachable):
        await client.post_json("/v1/videos", BODY, answer=Read)


async def test_delete(client: UpstreamClient, upstream: FakeUpstream) -> None:
    created = await client.post_json("/videos", BODY, answer=Read)
    assert await client.delete(f"/videos/{created.body.id}") is True
    assert await client.delete(f"/videos/{created.body.id}") is False
    upstream.script(keys=[])
    with pytest.raises(UpstreamAuthFailed):
        await client.delete("/videos/x")


async def test_put(client: UpstreamClient, upstream: FakeUpstream) -> None:
    upstream.fault("other", status=202, body={"status": "CANCELLATION_REQUESTED"})
    assert await client.put("/requests/r-1/cancel") is True
    assert upstream.counters().last["other"].method == "PUT"
    upstream.fault("other", status=400)
    assert await client.put("/requests/r-1/cancel") is False
    upstream.fault("other", status=500)
    with pytest.raises(PollFailed):
        await client.put("/requests/r-1/cancel")


# ---- what an error says ----


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": {"message": "m", "code": "billing_hard_limit_reached"}}, UpstreamQuotaExhausted),
        (403, {"error": {"message": "m", "code": "insufficient_user_quota"}}, UpstreamQuotaExhausted),
        (429, {"error": {"message": "m", "type": "insufficient_quota"}}, UpstreamQuotaExhausted),
        (429, {"error": {"message": "m", "code": "rate_limit_exceeded"}}, UpstreamBusy),
        (425, None, UpstreamBusy),
        (503, None, UpstreamBusy),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}, UpstreamBusy),
        (403, {"error": {"message": "m", "code": "content_policy_violation"}}, UpstreamModerated),
        (400, {"error": {"message": "m", "code": "InputTextSensitiveContentDetected"}}, UpstreamModerated),
        (403, {"error": "no"}, UpstreamAuthFailed),
        (405, None, RequestBlocked),
        (404, "<html>nginx</html>", RequestBlocked),
        (521, None, UpstreamBusy),
        (522, None, OutcomeUnknown),
        (530, "error code: 1016", UpstreamBusy),
        (524, None, OutcomeUnknown),
        (400, GEMINI_KEY, UpstreamAuthFailed),
        (400, XAI_KEY, UpstreamAuthFailed),
        (
            400,
            {"error": {"message": "User location is not supported for the API use."}},
            UpstreamModelForbidden,
        ),
        (400, {"error": {"message": "Access denied.", "type": "Arrearage"}}, UpstreamQuotaExhausted),
        (400, {"error": {"message": "Your credit balance is too low."}}, UpstreamQuotaExhausted),
        (403, {"error": "You have run out of credits or need a subscription."}, UpstreamQuotaExhausted),
        (403, {"error": "The team doesn't have any credits or licenses yet."}, UpstreamQuotaExhausted),
        (403, {"error": "token quota is not enough, remain quota: $0.25"}, UpstreamQuotaExhausted),
        (429, {"error": "It reached its monthly spending limit."}, UpstreamQuotaExhausted),
        (429, {"error": {"message": "You exceeded your current quota per minute."}}, UpstreamBusy),
        (
            400,
            {"error": {"message": "the model m is unknown", "code": "model_not_found"}},
            UpstreamModelForbidden,
        ),
        (408, {"error": "slow"}, OutcomeUnknown),
        (409, {"error": {"message": "in work", "code": "idempotency"}}, OutcomeUnknown),
        (500, {"error": {"message": "m"}}, UpstreamFailed),
        (500, {"message": "m"}, UpstreamFailed),
        (500, {"detail": "m"}, UpstreamFailed),
        (500, {"hello": "there"}, OutcomeUnknown),
        (500, "text", OutcomeUnknown),
        (501, {"error": "never"}, UpstreamFailed),
        (502, {"error": {"message": "m"}}, OutcomeUnknown),
        (504, {"error": {"message": "m"}}, OutcomeUnknown),
        (520, None, OutcomeUnknown),
        (300, None, OutcomeUnknown),
        (304, None, OutcomeUnknown),
    ],
)
def test_submit_refused(status: int, body: Any, expected: type[UpstreamError]) -> None:
    assert type(submit_refused(status, {}, read_error(body))) is expected


@pytest.mark.parametrize(
    "body", [None, "<h1>Sorry</h1>", {"message": "Forbidden"}, {"cloudflare_error": True}]
)
@pytest.mark.parametrize("status", [401, 402, 403, 407])
@pytest.mark.parametrize("kind", ["text/html", "text/plain", ""])
def test_without_the_vendors_error_a_status_says_nothing_of_the_account(
    status: int, kind: str, body: Any
) -> None:
    error = submit_refused(status, {"content-type": kind}, read_error(body))
    if status == 401 and kind != "text/html":
        assert isinstance(error, UpstreamAuthFailed)
        assert error.vague
    else:
        assert type(error) is RequestBlocked
    assert type(poll_refused(status, {}, read_error(body))) is PollFailed


def test_cloudflares_json_is_not_the_vendors() -> None:
    problem = {"title": "Error 1010: Access denied", "status": 403, "detail": "x", "cloudflare_error": True}
    assert type(submit_refused(403, {}, read_error(problem))) is RequestBlocked


def test_a_missing_page_is_not_a_missing_operation() -> None:
    assert type(poll_refused(404, {}, None)) is PollFailed
    assert type(poll_refused(404, {}, read_error({"error": "no such job"}))) is OperationNotFound


@pytest.mark.parametrize(("body", "pause"), [(None, 60.0), ({"error": "slow down"}, 3600.0)])
def test_a_pause_that_the_vendor_did_not_name_is_short(body: Any, pause: float) -> None:
    assert submit_refused(429, {"retry-after": "999999999"}, read_error(body)).retry_after == pause


@given(status=st.integers(300, 999))
def test_every_status_means_something(status: int) -> None:
    complaint = read_error({"error": "no"})
    assert submit_refused(status, {}, complaint).next_step in {"fail", "retry_elsewhere", "investigate"}
    assert poll_refused(status, {}, complaint).next_step in {"retry_later", "retry_elsewhere"}


def test_where_a_complaint_is_found() -> None:
    fastapi = read_error({"detail": [{"loc": ["body", "size"], "msg": "not a size", "type": "value_error"}]})
    assert fastapi is not None
    assert (fastapi.message, fastapi.param) == ("not a size", "size")
    numbered = read_error({"error": {"code": 1303, "message": "too many"}})
    assert numbered is not None
    assert numbered.code == "1303"
    assert read_error({"error": {}}) is None
    assert read_error({"error": None, "id": "x"}) is None
    assert read_error({"error": ["odd"]}) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "detail", "type", "param", "loc", "msg"]), inner
        )
    ),
    max_leaves=8,
)


@given(json_values)
def test_no_complaint_is_too_odd(body: Any) -> None:
    complaint = read_error(body)
    assert complaint is None or isinstance(complaint.message, str)


def test_an_error_text_is_short_and_keeps_our_secret() -> None:
    text = redact_text(f"{'x' * 495}{SECRET} \x1b[31m\nend", [SECRET])
    assert len(text) == 500
    assert SECRET[:5] not in text
    assert redact_text(f"a\x00b\nc {SECRET}", [SECRET]) == "a b c [secret]"


async def test_the_secret_is_taken_out_of_what_is_echoed(
    client: UpstreamClient, upstream: FakeUpstream
) -> None:
    upstream.script(keys=[])
    with pytest.raises(UpstreamAuthFailed) as caught:
        await client.post_json("/videos", BODY, answer=Read)
    assert str(caught.value) == "upstream answered 401: Incorrect API key provided: [secret]"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3600.0),
        ({"retry-after": "Fri, 31 Dec 99999999999 23:59:59 GMT"}, None),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "86400"}, 3600.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "９"}, None),
        ({"retry-after": "soon: very"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3600.0),
        ({"retry-after": "Fri, 99 Dec 99999 23:59:59 GMT"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "99999999999"}, 3600.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_of(headers) == seconds


def test_retry_after_as_a_date() -> None:
    moment = datetime.now(UTC) + timedelta(minutes=10)
    seconds = retry_after_of({"retry-after": format_datetime(moment, usegmt=True)})
    assert seconds is not None
    assert 0 < seconds <= 600


async def test_sibling_gets_none_of_our_headers(client: UpstreamClient) -> None:
    with FakeUpstream() as elsewhere:
        sibling = client.client_for(elsewhere.url)
        await sibling.post_json("/v1/videos", BODY, answer=Read)
        seen = elsewhere.counters().last["create"]
        assert "authorization" not in seen.headers
        assert SECRET not in seen.model_dump_json()


async def test_an_answer_may_be_as_long_as_the_provider_says(
    upstream: FakeUpstream, client: UpstreamClient
) -> None:
    upstream.fault("poll", do="huge", times=None)
    with pytest.raises(PollFailed):
        await client.get("/videos/v", answer=Read)
    client.json_limit = 64 * 1024 * 1024
    assert (await client.get("/videos/v", answer=Read)).body.id == "video_huge"


@given(st.text(max_size=40))
def test_retry_after_never_breaks(text: str) -> None:
    seconds = retry_after_of({"retry-after": text, "retry-after-ms": text})
    assert seconds is None or 0 <= seconds <= 3600


# ---- an answer that is read later ----


async def test_open_stream(client: UpstreamClient, upstream: FakeUpstream) -> None:
    upstream.script(chat_words=["A", "B"])
    body = {"model": "fake-chat", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    stream = await client.post_stream("/chat/completions", body, headers={"X-Trace": "1"}, silence=5)
    assert stream.headers["content-type"].startswith("text/event-stream")
    told = b"".join([chunk async for chunk in stream.chunks])
    await stream.close()
    assert told.endswith(b"data: [DONE]\n\n")
    assert upstream.counters().last["chat"].headers["x-trace"] == "1"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"status": 429}, UpstreamBusy),
        ({"status": 401}, UpstreamAuthFailed),
        ({"status": 302, "headers": {"Location": "https://evil.test/"}}, UpstreamFailed),
        ({"do": "reset"}, OutcomeUnknown),
        ({"do": "hang"}, OutcomeUnknown),
    ],
)
async def test_stream_that_does_not_begin(
    upstream: FakeUpstream, transport: UpstreamTransport, fault: dict[str, Any], expected: type
) -> None:
    timeouts = UpstreamTimeouts(connect=0.1, submit=0.1)
    client = UpstreamClient(transport, base_url=upstream.url, headers={}, timeouts=timeouts)
    upstream.fault("chat", **fault)
    with pytest.raises(expected):
        await client.post_stream("/v1/chat/completions", {"stream": True}, silence=5)


async def test_stream_that_falls_silent(client: UpstreamClient, upstream: FakeUpstream) -> None:
    upstream.script(chat_words=["A", "B"], chat_delay=5)
    body = {"model": "fake-chat", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    stream = await client.post_stream("/chat/completions", body, silence=0.1)
    with pytest.raises(PollFailed):
        async for _ in stream.chunks:
            pass
    await stream.close()
