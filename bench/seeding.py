"""Prepares a data directory: an account that points at the fake upstream, and as much history as wanted."""

import time
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from app.assembly import assemble_components
from app.db.session import Database
from app.db.tables import tasks
from app.providers.base import Account
from app.settings import Settings
from app.tasks.task import StoredFile, TaskResult

KEY = "sk-fg-benchmark-benchmark-benchmark"
SECRET = "benchmark-benchmark-benchmark-benchmark"
BATCH = 10_000
RESULT = TaskResult(
    files=(
        StoredFile(name="video.mp4", key="bench/video.mp4", content_type="video/mp4", bytes=1, seconds=4.0),
    )
).model_dump_json()


def environment(data_dir: Path, port: int, *, worker: bool) -> dict[str, str]:
    return {
        "FILMGATE_WORKER": str(worker).lower(),
        "FILMGATE_DATA_DIR": str(data_dir),
        "FILMGATE_PORT": str(port),
        "FILMGATE_API_KEY": KEY,
        "FILMGATE_SECRET_KEY": SECRET,
        "FILMGATE_OUTBOUND_ALLOW": "127.0.0.1",
        "FILMGATE_STUDIO": "off",
        "FILMGATE_LOG_LEVEL": "warning",
    }


def settings(data_dir: Path) -> Settings:
    return Settings(
        data_dir=data_dir, secret_key=SECRET, api_key=KEY, outbound_allow="127.0.0.1", studio="off"
    )


async def prepare(data_dir: Path, upstream: int, *, options: Mapping[str, object]) -> None:
    """Make the database, the client key and the account."""
    components = await assemble_components(settings(data_dir))
    await components.keys.ensure(KEY, name="bench")
    await components.pool.add(
        Account(
            id="",
            provider="openai_compatible",
            name="bench",
            base_url=f"http://127.0.0.1:{upstream}/v1",
            secret="upstream-secret",
            models={"bench": "bench-upstream", "bench-video": "bench-video"},
            slots=5_000,
            options=options,
        )
    )
    await components.close()


async def add_history(data_dir: Path, count: int, *, first: int = 0) -> None:
    """``count`` finished tasks of this very key."""
    database = Database(settings(data_dir).resolved_database_url)
    async with database.read() as connection:
        key_id = (await connection.execute(sa.text("SELECT id FROM keys"))).scalar_one()
    for start in range(first, count, BATCH):
        rows = [_finished(number, key_id) for number in range(start, min(start + BATCH, count))]
        async with database.write() as connection:
            await connection.execute(sa.insert(tasks), rows)
    await database.close()


def _finished(number: int, key_id: str) -> dict[str, object]:
    then = time.time() - 86400
    return {
        "id": f"{number:032x}",
        "owner": f"key:{key_id}",
        "key_id": key_id,
        "dialect": "openai",
        "kind": "video",
        "model": "bench-video",
        "request": '{"kind":"video","model":"bench-video","prompt":"%s"}' % ("a long walk " * 20),
        "state": "completed",
        "epoch": 1,
        "account_id": "0" * 32,
        "attempts": 1,
        "progress": 100.0,
        "result": RESULT,
        "fingerprint": f"{number:064x}",
        "created_at": then,
        "started_at": then,
        "finished_at": then + 60,
        "deadline_at": then + 3600,
        "purged": True,
    }
