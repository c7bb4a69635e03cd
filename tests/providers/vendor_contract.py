"""The provider contract against a vendor's own simulator, with the fake upstream's faults in front of it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from app.errors import UpstreamRejected
from app.providers import registry
from app.providers.base import Account, Failed, Provider
from tests.providers.contract import SECRET, ProviderContract
from tests.upstream import FakeUpstream
from tests.upstream.transport import loopback_transport
from tests.upstream.vendors.front import FaultyFront, Routes, ScriptedServer


@asynccontextmanager
async def open_provider(
    provider: str, vendor: ScriptedServer, *, secret: str = SECRET, at: str = "", **options: Any
) -> AsyncIterator[Provider]:
    """A provider with an account at ``vendor`` (the path ``at``), without faults in between."""
    account = Account(
        id="a1", provider=provider, name="fake", base_url=vendor.url + at, secret=secret, options=options
    )
    async with loopback_transport() as transport:
        made = registry.create_provider(account, transport)
        yield made
        await made.close()


class VendorContract(ProviderContract):
    """The module of a subclass has a fixture ``vendor``: a running simulator."""

    provider_name: ClassVar[str]
    routes: ClassVar[Routes]
    moderated: ClassVar[dict[str, Any]]
    """What a job says that the vendor's filter stopped."""
    codes: ClassVar[dict[str, Any]]
    """The vendor's code for each of the suite's."""

    def account(self, origin: str) -> Account:
        return Account(id="a1", provider=self.provider_name, name="fake", base_url=origin, secret=SECRET)

    @pytest.fixture
    def upstream(self, vendor: ScriptedServer) -> Iterator[FakeUpstream]:
        vendor.reset()
        with FaultyFront(vendor, self.routes) as front:
            yield front

    @pytest.mark.parametrize("status", [400, 404, 413, 415, 422])
    async def test_refused_request(self, upstream: FakeUpstream, provider: Provider, status: int) -> None:
        """As in the contract, but these vendors name no parameter."""
        upstream.fault(self.submit_call, status=status, body=self.refusal("invalid_value", f"No {SECRET}"))
        error = await self.refused(provider, UpstreamRejected)
        assert error.next_step == "fail"

    async def test_moderated_while_running(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(final=self.states["failed"], error=self.moderated)
        answer = await provider.poll(await self.start(provider))
        assert isinstance(answer, Failed)
        assert answer.code == "content_policy_violation"
