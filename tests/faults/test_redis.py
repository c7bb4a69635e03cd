"""Two replicas that count a key's requests in Redis: together, and each alone while Redis is away."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.components import Components
from tests.conftest import leave_out
from tests.keys.test_limits import RedisServer
from tests.serving import GatewayProcess, until

pytestmark = [pytest.mark.slow, pytest.mark.redis]
LIMIT = 3
KEYS = 400
"""Each look at the replicas needs a fresh key, and a busy machine may need many until they count together."""


@dataclass
class Replicas:
    """``keys`` have a limit of three requests a minute each; every test step takes fresh ones."""

    one: GatewayProcess
    other: GatewayProcess
    redis: RedisServer
    keys: list[str]

    def allowed(self) -> tuple[int, int]:
        """How many requests of one key each lets in, asked in turn; nobody is refused for another reason."""
        key, counts = self.keys.pop(), [0, 0]
        for _ in range(LIMIT + 1):
            for place, gateway in enumerate((self.one, self.other)):
                with gateway.client(key=key) as client:
                    answer = client.post("/v1/embeddings", json={"model": "bot", "input": "x"})
                assert answer.headers["x-ratelimit-limit-requests"] == str(LIMIT)
                if answer.status_code == 429:
                    assert 1 <= int(answer.headers["retry-after"]) <= 60
                else:
                    assert answer.json()["error"]["code"] == "model_not_found"  # let in; there is no account
                    counts[place] += 1
        return counts[0], counts[1]

    def alone(self) -> bool:
        said = []
        for gateway in (self.one, self.other):
            with gateway.client() as client:
                said.append("filmgate_limits_alone 1.0" in client.get("/metrics").text)
        return all(said)


async def _keys(components: Components) -> list[str]:
    return [await components.keys.create(str(number), rpm=LIMIT) for number in range(KEYS)]


@pytest.fixture
def replicas(tmp_path: Path, postgres_url: str) -> Iterator[Replicas]:
    if not shutil.which("redis-server"):
        leave_out("redis-server is not installed")
    redis = RedisServer(tmp_path)
    common = {
        "FILMGATE_DATABASE_URL": postgres_url,
        "FILMGATE_SECRET_KEY": "0123456789abcdef0123456789abcdef",
        "FILMGATE_REDIS_URL": redis.url,
        "FILMGATE_STUDIO": "off",
        "FILMGATE_WORKER": "false",
    }
    one, other = (GatewayProcess(tmp_path / name, **common) for name in ("one", "other"))
    for gateway in (one, other):  # one store for both
        gateway.folder.mkdir()
        (tmp_path / "files").mkdir(exist_ok=True)
        (gateway.folder / "files").symlink_to(tmp_path / "files", target_is_directory=True)
    keys = one.prepare(_keys)
    try:
        with one, other:
            yield Replicas(one, other, redis, keys)
    finally:
        redis.kill()


def test_limits_hold_together_and_redis_is_no_reason_to_refuse(replicas: Replicas) -> None:
    until(lambda: replicas.allowed() == (2, 1))
    replicas.redis.freeze()
    assert replicas.allowed() == (LIMIT, LIMIT)
    assert replicas.alone()
    replicas.redis.thaw()
    until(lambda: sum(replicas.allowed()) == LIMIT)
    assert not replicas.alone()
    replicas.redis.kill()
    assert replicas.allowed() == (LIMIT, LIMIT)
    assert replicas.alone()
    replicas.redis.start()
    until(lambda: sum(replicas.allowed()) == LIMIT)
