"""One gateway for the contract tests of all dialects: the studio makes the videos and pictures."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest

from tests.serving import KEY, GatewayProcess


@dataclass(frozen=True)
class ServedGateway:
    """A running gateway; ``other_key`` belongs to another owner."""

    url: str
    other_key: str
    key: str = KEY

    def client(self, key: str | None = None) -> httpx2.Client:
        headers = {"authorization": f"Bearer {key or self.key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedGateway]:
    gateway = GatewayProcess(tmp_path_factory.mktemp("dialects"), FILMGATE_STUDIO="on")
    other_key = gateway.prepare(lambda components: components.keys.create("other"))
    with gateway:
        yield ServedGateway(gateway.url, other_key)
