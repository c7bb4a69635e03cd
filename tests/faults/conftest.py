"""A gateway to break, and an upstream that outlives it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import GatewayProcess
from tests.upstream import FakeUpstream


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(process=True) as upstream:
        yield upstream


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(tmp_path / "gateway", FILMGATE_STUDIO="off")
    yield gateway
    gateway.kill()
