"""The contract every provider keeps, as a suite: a provider's test inherits ``ProviderContract``.

A subclass says in ``account`` how to reach its fake upstream, and overrides the words below where its
vendor's differ. The faults are HTTP's own, so one fake upstream's script serves all.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from app.errors import (
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
    UpstreamUnreachable,
)
from app.generation import GenerationRequest
from app.providers import registry
from app.providers.base import Account, Failed, Operation, Provider, Queued, Running, Submission, Succeeded
from app.providers.http_messages import UpstreamTimeouts
from app.providers.transport import UpstreamTransport
from tests.upstream import FakeUpstream, closed_port, silent_port
from tests.upstream.transport import loopback_transport

SECRET = "sk-contract-0123456789"
# Only what must time out is short: the rest would fail on a busy machine. An answer may take twice ``connect`` more.
SHORT_SUBMIT = UpstreamTimeouts(connect=0.5, submit=0.5, poll=60)
SHORT_CONNECT = UpstreamTimeouts(connect=0.5, submit=60, poll=60)
SHORT_POLL = UpstreamTimeouts(connect=0.5, submit=60, poll=0.3)
HTML = "<html><body><h1>Bad gateway</h1></body></html>"


class ProviderContract:
    submit_call: ClassVar[str] = "create"
    poll_call: ClassVar[str] = "poll"
    states: ClassVar[dict[str, str]] = {
        "queued": "queued", "running": "in_progress", "done": "completed", "failed": "failed",
    }  # fmt: skip
    submission = Submission(idempotency_key="contract-key-1")

    # ---- what a subclass says ----

    @abstractmethod
    def account(self, origin: str) -> Account:
        """An account at ``origin`` (scheme, host, port) with ``SECRET``."""

    def request(self) -> GenerationRequest:
        return GenerationRequest(kind="video", model="fake-video", prompt="A red kite", seconds=4)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        """An error body as the vendor writes it."""
        return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}

    # ---- what the suite stands on ----

    @pytest.fixture
    def upstream(self) -> Iterator[FakeUpstream]:
        with FakeUpstream() as upstream:
            yield upstream

    @pytest.fixture
    async def transport(self) -> AsyncIterator[UpstreamTransport]:
        async with loopback_transport() as transport:
            yield transport

    @pytest.fixture
    async def provider(self, upstream: FakeUpstream, transport: UpstreamTransport) -> AsyncIterator[Provider]:
        provider = registry.create_provider(self.account(upstream.url), transport)
        yield provider
        await provider.close()

    @pytest.fixture
    async def hasty(self, upstream: FakeUpstream, transport: UpstreamTransport) -> AsyncIterator[Provider]:
        """The same provider, which soon gives up waiting for the answer to a submission."""
        provider = registry.create_provider(self.account(upstream.url), transport, timeouts=SHORT_SUBMIT)
        yield provider
        await provider.close()

    @pytest.fixture
    async def hasty_poller(
        self, upstream: FakeUpstream, transport: UpstreamTransport
    ) -> AsyncIterator[Provider]:
        """The same provider, which soon gives up waiting for the answer to a poll."""
        provider = registry.create_provider(self.account(upstream.url), transport, timeouts=SHORT_POLL)
        yield provider
        await provider.close()

    async def start(self, provider: Provider) -> Operation:
        return await provider.start(self.request(), self.submission)

    async def refused(self, provider: Provider, expected: type[UpstreamError]) -> UpstreamError:
        with pytest.raises(UpstreamError) as caught:
            await self.start(provider)
        assert type(caught.value) is expected
        assert SECRET not in str(caught.value)
        return caught.value

    async def poll_failed(
        self, provider: Provider, operation: Operation, expected: type[UpstreamError]
    ) -> UpstreamError:
        with pytest.raises(UpstreamError) as caught:
            await provider.poll(operation)
        assert type(caught.value) is expected
        assert SECRET not in str(caught.value)
        return caught.value

    # ---- the life of an operation ----

    async def test_from_accepted_to_done(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(statuses=[self.states["queued"], self.states["running"], self.states["done"]])
        operation = await self.start(provider)
        assert operation.id
        assert "://" not in operation.model_dump_json()
        assert isinstance(await provider.poll(operation), Queued)
        assert isinstance(await provider.poll(operation), Running)
        answer = await provider.poll(operation)
        assert isinstance(answer, Succeeded)
        assert len(answer.files) >= 1
        assert upstream.counters().jobs == 1

    async def test_operation_survives_its_row(self, upstream: FakeUpstream, provider: Provider) -> None:
        operation = await self.start(provider)
        restored = Operation.model_validate_json(operation.model_dump_json())
        assert isinstance(await provider.poll(restored), Succeeded)

    async def test_failed(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(final=self.states["failed"], error={"code": "internal", "message": "GPU fell over"})
        answer = await provider.poll(await self.start(provider))
        assert answer == Failed("upstream_error", "GPU fell over")

    async def test_moderated_while_running(self, upstream: FakeUpstream, provider: Provider) -> None:
        said = self.refusal("content_policy_violation", "Not this.")["error"]
        upstream.script(final=self.states["failed"], error=said)
        answer = await provider.poll(await self.start(provider))
        assert isinstance(answer, Failed)
        assert answer.code == "content_policy_violation"

    async def test_unknown_word_is_running(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(statuses=["defragmenting"])
        assert isinstance(await provider.poll(await self.start(provider)), Running)

    # ---- refused on submit ----

    async def test_refused_401(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(keys=["another-key-entirely"])
        error = await self.refused(provider, UpstreamAuthFailed)
        assert error.next_step == "retry_elsewhere"

    async def test_refused_402(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.fault(self.submit_call, status=402)
        await self.refused(provider, UpstreamQuotaExhausted)

    @pytest.mark.parametrize("status", [400, 404, 413, 415, 422])
    async def test_refused_request(self, upstream: FakeUpstream, provider: Provider, status: int) -> None:
        body = self.refusal("invalid_value", f"No size for {SECRET}", param="size")
        upstream.fault(self.submit_call, status=status, body=body)
        error = await self.refused(provider, UpstreamRejected)
        assert error.param == "size"
        assert error.next_step == "fail"

    async def test_moderated_on_submit(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.fault(self.submit_call, status=400, body=self.refusal("moderation_blocked"))
        await self.refused(provider, UpstreamModerated)

    @pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), (None, None), ("soon", None)])
    async def test_busy_429(
        self, upstream: FakeUpstream, provider: Provider, header: str | None, seconds: float | None
    ) -> None:
        headers = {"Retry-After": header} if header else {}
        upstream.fault(self.submit_call, status=429, headers=headers)
        error = await self.refused(provider, UpstreamBusy)
        assert error.retry_after == seconds
        assert error.next_step == "retry_elsewhere"

    async def test_failed_500(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.fault(self.submit_call, status=500, body=self.refusal("server_error", "We failed."))
        error = await self.refused(provider, UpstreamFailed)
        assert error.next_step == "fail"

    @pytest.mark.parametrize("status", [200, 500, 502, 504])
    async def test_html_in_place_of_an_answer(
        self, upstream: FakeUpstream, provider: Provider, status: int
    ) -> None:
        upstream.fault(self.submit_call, status=status, text=HTML)
        error = await self.refused(provider, OutcomeUnknown)
        assert error.next_step == "investigate"

    # ---- silence on submit ----

    async def test_connection_refused(self, transport: UpstreamTransport) -> None:
        provider = registry.create_provider(self.account(f"http://127.0.0.1:{closed_port()}"), transport)
        error = await self.refused(provider, UpstreamUnreachable)
        assert error.next_step == "retry_elsewhere"
        await provider.close()

    async def test_timeout_before_sending(self, transport: UpstreamTransport) -> None:
        with silent_port() as port:
            account = self.account(f"https://127.0.0.1:{port}")
            provider = registry.create_provider(account, transport, timeouts=SHORT_CONNECT)
            await self.refused(provider, UpstreamUnreachable)
            await provider.close()

    @pytest.mark.parametrize("do", ["hang", "drip"])
    async def test_timeout_after_sending(
        self, upstream: FakeUpstream, provider: Provider, hasty: Provider, do: str
    ) -> None:
        # Leaves an open connection, so that the second submission can't time out while connecting.
        await provider.start(self.request(), replace(self.submission, idempotency_key="contract-key-0"))
        before = upstream.counters().jobs
        upstream.fault(self.submit_call, do=do, accepts=True, delay=0.05 if do == "drip" else 0)
        await self.refused(hasty, OutcomeUnknown)
        await upstream.until(lambda seen: seen.jobs == before + 1)

    @pytest.mark.parametrize("do", ["reset", "cut", "garbage", "huge"])
    async def test_answer_broken(self, upstream: FakeUpstream, provider: Provider, do: str) -> None:
        upstream.fault(self.submit_call, do=do, accepts=True)
        await self.refused(provider, OutcomeUnknown)
        assert upstream.counters().jobs == 1

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_submit_is_never_redirected(
        self, upstream: FakeUpstream, provider: Provider, status: int
    ) -> None:
        with FakeUpstream() as elsewhere:
            where = f"{elsewhere.url}/v1/videos"
            upstream.fault(self.submit_call, status=status, headers={"Location": where})
            await self.refused(provider, OutcomeUnknown if status == 303 else UpstreamFailed)
            assert elsewhere.counters().requests == {}

    # ---- a failed poll never ends a task ----

    async def test_poll_not_found(self, upstream: FakeUpstream, provider: Provider) -> None:
        operation = await self.start(provider)
        upstream.fault(self.poll_call, status=404)
        await self.poll_failed(provider, operation, OperationNotFound)

    async def test_poll_401(self, upstream: FakeUpstream, provider: Provider) -> None:
        operation = await self.start(provider)
        upstream.fault(self.poll_call, status=401, body=self.refusal("invalid_api_key", f"Bad key {SECRET}"))
        await self.poll_failed(provider, operation, UpstreamAuthFailed)

    @pytest.mark.parametrize("status", [400, 408, 409, 429, 500, 502, 503, 504])
    async def test_poll_refused(self, upstream: FakeUpstream, provider: Provider, status: int) -> None:
        operation = await self.start(provider)
        upstream.fault(self.poll_call, status=status, headers={"Retry-After": "3"})
        error = await self.poll_failed(provider, operation, PollFailed)
        assert error.retry_after == 3.0
        assert isinstance(await provider.poll(operation), Succeeded)

    @pytest.mark.parametrize("do", ["reset", "cut", "garbage", "huge"])
    async def test_poll_broken(self, upstream: FakeUpstream, provider: Provider, do: str) -> None:
        operation = await self.start(provider)
        upstream.fault(self.poll_call, do=do)
        await self.poll_failed(provider, operation, PollFailed)
        assert isinstance(await provider.poll(operation), Succeeded)

    async def test_poll_html(self, upstream: FakeUpstream, provider: Provider) -> None:
        operation = await self.start(provider)
        upstream.fault(self.poll_call, status=200, text=HTML)
        await self.poll_failed(provider, operation, PollFailed)

    @pytest.mark.parametrize("do", ["hang", "drip"])
    async def test_poll_timeout(
        self, upstream: FakeUpstream, provider: Provider, hasty_poller: Provider, do: str
    ) -> None:
        operation = await self.start(provider)
        upstream.fault(self.poll_call, do=do, delay=0.05 if do == "drip" else 0)
        await self.poll_failed(hasty_poller, operation, PollFailed)

    async def test_poll_is_never_redirected(self, upstream: FakeUpstream, provider: Provider) -> None:
        operation = await self.start(provider)
        with FakeUpstream() as elsewhere:
            upstream.fault(
                self.poll_call, status=302, headers={"Location": f"{elsewhere.url}/v1/videos/{operation.id}"}
            )
            await self.poll_failed(provider, operation, PollFailed)
            assert elsewhere.counters().requests == {}

    async def test_recover_never_says_not_accepted(self, upstream: FakeUpstream, provider: Provider) -> None:
        """Whatever happens while asking, the first copy may be running: nothing may lead to a second account."""
        for status in (401, 402, 429, 503):
            upstream.fault(self.submit_call, status=status)
        for _ in range(4):
            with pytest.raises(UpstreamError) as caught:
                await provider.recover(self.request(), self.submission)
            assert caught.value.next_step in {"investigate", "retry_later"}
