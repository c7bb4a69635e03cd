"""A rolling upgrade on PostgreSQL: the version before this one and this one serve one store side by side."""

import io
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from app.catalog.price import ModelPrice
from app.components import Components
from app.usage.recounting import recount_days
from app.usage.reports import UsageSpan
from tests import stores
from tests.conftest import leave_out
from tests.faults.ledger import Ledger, table
from tests.faults.test_kill import Print, say
from tests.serving import ROOT, GatewayProcess, until
from tests.upstream import FakeUpstream

__all__ = ["say"]
VERSION_BEFORE = "c1e6809"
"""The commit of 0.1.0."""
EACH = 8


class OlderGateway(GatewayProcess):
    """The gateway from another checkout."""

    def __init__(self, folder: Path, *, code: Path, **environment: str) -> None:
        super().__init__(folder, **environment)
        self._code = code

    def _open_process(self, arguments: list[str], environment: dict[str, str]) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", self.module, *arguments]
        with self.log.open("a") as log:
            return subprocess.Popen(
                command, cwd=self._code, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )


@pytest.fixture
def older_code(tmp_path: Path) -> Path:
    archive = ["git", "-C", str(ROOT), "archive", VERSION_BEFORE, "app", "migrations", "admin_static"]
    packed = subprocess.run(archive, capture_output=True)
    if packed.returncode:
        leave_out("the history of this repository, with the version before this one")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
        files.extractall(tmp_path / "older", filter="data")
    return tmp_path / "older"


@pytest.fixture
def empty_url(postgres_server: str) -> Iterator[str]:
    url = stores.empty_postgres_store()
    yield url
    stores.drop(url)


@pytest.mark.slow
@pytest.mark.postgres
def test_the_version_before_this_one_goes_on_beside_it(
    tmp_path: Path, older_code: Path, empty_url: str, say: Print
) -> None:
    common = {
        "FILMGATE_DATABASE_URL": empty_url,
        "FILMGATE_SECRET_KEY": "0123456789abcdef0123456789abcdef",
        "FILMGATE_STUDIO": "off",
    }
    older = OlderGateway(tmp_path / "one", code=older_code, **common)
    newer = GatewayProcess(tmp_path / "two", **common)
    for gateway in (older, newer):
        gateway.folder.mkdir()
        (tmp_path / "files").mkdir(exist_ok=True)
        (gateway.folder / "files").symlink_to(tmp_path / "files", target_is_directory=True)
    ledger = Ledger()
    with FakeUpstream(process=True) as upstream:
        upstream.script(job_seconds=1.0)
        try:
            older.start()
            newer.add_upstream(upstream.url, slots=EACH)  # migrates the store under the older one
            newer.prepare(
                lambda new: new.money.prices.set_price("sora-2", ModelPrice(per_call=Decimal("0.1")))
            )
            for gateway in (older, newer):
                if gateway is newer:
                    newer.start()
                with gateway.client() as client:
                    until(lambda: client.get("/readyz").status_code == 200)
                    ledger.ask_until_taken(client)  # the older one reads accounts every two seconds
                    ledger.ask_more(client, EACH - 1)
            began = time.monotonic()
            for gateway in (older, newer):
                with gateway.client() as client:
                    ledger.finish(client)
            tally = ledger.tally(
                upstream.counters(),
                runs=1,
                in_flight=EACH,
                slots=newer.prepare(_slots),
                recovery=time.monotonic() - began,
            )
            assert older.stop() == 0
        finally:
            older.kill()
            newer.kill()
    say(table("the version before this one beside it", tally))
    assert tally.good, tally
    assert all(one.status == "completed" for one in ledger.asked)
    assert newer.prepare(_usage) == (2 * EACH, Decimal("0.1") * 2 * EACH)


async def _slots(components: Components) -> int:
    return (await components.repository.open_counts())["slots"]


async def _usage(components: Components) -> tuple[int, Decimal]:
    """Calls and dollars in the reports, once their sums are compared with their rows."""
    now = time.time()
    await recount_days(components.database, now=now, request_days=90)
    lines = await components.money.reports.usage_lines((), UsageSpan(since=0, until=now + 86_400))
    return sum(line.requests for line in lines), sum((line.cost for line in lines), Decimal(0))
