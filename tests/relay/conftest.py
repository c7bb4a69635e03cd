"""Fixtures of the relay's tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.relay.gateway import RelayGateway, running_gateway
from tests.upstream import FakeUpstream


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as server:
        yield server


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RelayGateway]:
    async with running_gateway(tmp_path) as started:
        yield started
