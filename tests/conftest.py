"""Stores to test on: SQLite always, PostgreSQL where a server answers, and what to say when none does."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests import stores
from tests.certificates import trust_one_certificate
from tests.needs import needs_server
from tests.stores import POSTGRES_URL

REDIS_URL = os.environ.get("FILMGATE_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
REQUIRE_ALL = os.environ.get("FILMGATE_TEST_REQUIRE_ALL") == "1"
trust_one_certificate()
# What the program logs within a test is no output of a command that the test reads.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """A command that runs within a test sets up the log for its whole process."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


class Announcer:
    """Says at once which test failed: a run that is cut short has no summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line(f"\nFAILED {report.nodeid} ({report.when})\n{str(report.longrepr)[-1500:]}")


def pytest_configure(config: pytest.Config) -> None:
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        config.pluginmanager.register(Announcer(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if needs_server(item):
            item.add_marker("server")


def leave_out(reason: str) -> None:
    """Skip with a reason, or fail where everything is required."""
    if REQUIRE_ALL:
        pytest.fail(f"required here: {reason}")
    pytest.skip(reason)


async def _answers() -> bool:
    try:
        connection = await asyncpg.connect(POSTGRES_URL, timeout=30)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


@pytest.fixture(scope="session")
def postgres_server() -> str:
    if not stores.done(_answers()):
        leave_out("no PostgreSQL server answers (FILMGATE_TEST_POSTGRES_URL)")
    return POSTGRES_URL


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A store of its own for one test, with its tables."""
    url = stores.postgres_store()
    yield url
    stores.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same test on both stores, which have their tables."""
    if request.param == "sqlite":
        return stores.sqlite_store(tmp_path / "test.db")
    url = str(request.getfixturevalue("postgres_url"))
    return url.replace("postgresql://", "postgresql+asyncpg://")


async def _pongs() -> bool:
    async with Redis.from_url(REDIS_URL, socket_connect_timeout=10, socket_timeout=10) as client:
        try:
            await client.ping()
        except RedisError:
            return False
        return True


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Of a server that others use too: every test takes keys of its own."""
    if not stores.done(_pongs()):
        leave_out("no Redis server answers (FILMGATE_TEST_REDIS_URL)")
    return REDIS_URL


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if not found or not shutil.which("npm"):
        leave_out("Node.js and npm are not installed")
    assert found
    return found
