"""The disk is full: the process may write no file beyond a size, as when nothing is left. Nothing is lost."""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.serving import ROOT, GatewayProcess, until

PROGRAM = """
import asyncio, resource, sys
from pathlib import Path
from app.errors import NotFound, ServiceUnavailable
from app.media.store import MediaStore

async def main():
    store = MediaStore.open("", folder=Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    await store.put("a/small", b"x" * 1000)
    print("small", file=sys.stderr)
    try:
        await store.put("a/large", b"x" * 2_000_000)
    except ServiceUnavailable:
        print("refused", file=sys.stderr)
    try:
        await store.head("a/large")
    except NotFound:
        print("absent", file=sys.stderr)

asyncio.run(main())
"""
PROMPT = {"prompt": "a red kite", "model": "sora-2", "seconds": "4", "size": "320x180"}


@contextmanager
def full_disk(gateway: GatewayProcess) -> Iterator[None]:
    """What is written may be written again; nothing more fits, in the database and in new files alike."""
    assert gateway.process
    wal = gateway.folder / "filmgate.db-wal"
    hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (wal.stat().st_size, hard))
    try:
        yield
    finally:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


def created(http: httpx2.Client, key: str) -> httpx2.Response:
    return http.post("/v1/videos", json=PROMPT, headers={"idempotency-key": key})


def ended(http: httpx2.Client, video: str) -> Callable[[], dict[str, Any] | None]:
    def look() -> dict[str, Any] | None:
        answer = http.get(f"/v1/videos/{video}")
        found: dict[str, Any] = answer.json()
        return found if answer.status_code == 200 and found["status"] in ("completed", "failed") else None

    return look


def test_while_the_disk_is_full_work_is_refused_and_then_goes_on(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, FILMGATE_STUDIO="on") as gateway, gateway.client() as http:
        made = [created(http, f"before-{n}").json()["id"] for n in range(2)]
        with full_disk(gateway):
            refused = until(lambda: next((a for a in [created(http, "while")] if a.status_code != 200), None))
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "unavailable"
            assert gateway.process is not None and gateway.process.poll() is None
            for video in made:
                assert http.get(f"/v1/videos/{video}").status_code == 200  # reading goes on
        again = created(http, "while")
        assert again.status_code == 200
        for video in [*made, again.json()["id"]]:
            found = until(ended(http, video))
            assert found["status"] == "completed", found
            content = http.get(f"/v1/videos/{video}/content")
            assert content.content[4:8] == b"ftyp"
        assert len(http.get("/v1/videos").json()["data"]) == 3  # nothing twice


def test_a_file_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stderr.split() == ["small", "refused", "absent"]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["small"]
