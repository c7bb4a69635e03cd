"""What a power cut must not take: a film is on the disk, with its name, before its task is told to be completed."""

from pathlib import Path

from tests.faults.ledger import Ledger
from tests.faults.preloaded import compile_library
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream


def test_films_are_on_the_disk_before_completed_is_written(
    gateway: GatewayProcess, upstream: FakeUpstream, tmp_path: Path
) -> None:
    """A sync of the database follows that of the film, its pictures and their folders, all new here."""
    syncs = tmp_path / "syncs"
    upstream.script(job_seconds=0.1)
    gateway.add_upstream(upstream.url)
    gateway.environment |= {"LD_PRELOAD": str(compile_library("syncs", tmp_path)), "SYNCS": str(syncs)}
    gateway.start()
    ledger = Ledger()
    with gateway.client() as client:
        ledger.ask_more(client, 1)
        ledger.finish(client)
        assert client.get(f"/v1/videos/{ledger.asked[0].task_id}/content").status_code == 200
    # Nothing but tasks syncs files here, and only the end of this one follows its film.
    files = (gateway.folder / "files").resolve()
    folder = next((files / "tasks").iterdir())
    order = until(lambda: syncs.read_text().splitlines())
    database = max(number for number, path in enumerate(order) if ".db" in path)
    for path in [*folder.iterdir(), folder, files / "tasks", files]:
        assert str(path) in order[:database], f"{path} may be lost"
