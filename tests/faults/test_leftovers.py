"""What kills leave on the disk: half results do not add up."""

from pathlib import Path

from tests.faults.ledger import Ledger
from tests.faults.test_kill import Print, say
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

__all__ = ["say"]
RESULT_BYTES = 20_000_000
KILLS = 3


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_kills_in_the_middle_of_a_copy_leave_nothing(
    gateway: GatewayProcess, upstream: FakeUpstream, say: Print
) -> None:
    work = gateway.folder / "work"
    upstream.script(job_seconds=0.1, video_bytes=RESULT_BYTES)
    upstream.fault("content", do="stall", times=None)
    gateway.add_upstream(upstream.url)
    ledger = Ledger()
    left = []
    for _ in range(KILLS):
        gateway.start()
        with gateway.client() as client:
            ledger.ask_more(client, 2)
        until(lambda: size_of(work) >= RESULT_BYTES // 2)
        gateway.kill()
        left.append(size_of(work))
    upstream.script(job_seconds=0.1)
    gateway.start()
    with gateway.client() as client:
        ledger.finish(client)
        assert ledger.open == []
    assert len(list(work.iterdir())) <= 1, "only the folder of the process that runs"
    gateway.stop()
    say(
        f"\n{KILLS} kills left {[f'{size / 1e6:.0f} MB' for size in left]} in turn, and {size_of(work)} bytes now"
    )
    assert list(work.iterdir()) == []
