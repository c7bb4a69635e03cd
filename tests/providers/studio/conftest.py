"""A studio with its own folder, closed after each test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from app.providers.base import Account
from app.providers.http import UpstreamClient
from app.providers.studio.provider import StudioProvider
from tests.upstream.transport import loopback_transport

MakeStudio = Callable[..., StudioProvider]


@pytest.fixture
async def make_studio(tmp_path: Path) -> AsyncIterator[MakeStudio]:
    """Studios that share one folder, as two processes would."""
    made: list[StudioProvider] = []
    transport = loopback_transport()

    def make(**options: Any) -> StudioProvider:
        account = Account(
            id="studio",
            provider="studio",
            name="studio",
            options={"workdir": str(tmp_path / "studio"), "workers": 1, "test_directives": True, **options},
        )
        client = UpstreamClient(transport, base_url="http://127.0.0.1:1", headers={})
        made.append(StudioProvider(account, client))
        return made[-1]

    yield make
    for studio in made:
        await studio.close()
    await transport.aclose()


@pytest.fixture
def studio(make_studio: MakeStudio) -> StudioProvider:
    return make_studio()
