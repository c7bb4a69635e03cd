"""Prepares a gateway's folder: an account at the upstream, a key with a budget, prices, and as much history as wanted."""

import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from app.assembly import assemble_components
from app.catalog.price import ModelPrice
from app.components import Components
from app.keys.key import ClientKey
from app.providers.base import Account
from app.settings import Settings
from app.tasks.task import StoredFile, TaskResult
from bench.stores import Store

KEY = "sk-fg-benchmark-benchmark-benchmark"
SECRET = "benchmark-benchmark-benchmark-benchmark"
MODELS = ("bench-video", "bench-film")
"""The upstream never ends a task of the first, and ends one of the second at once."""
FILE_ID = f"{15:032x}"
"""The task whose file is downloaded."""
DAY = 86_400


def environment(data_dir: Path, port: int, *, worker: bool) -> dict[str, str]:
    return {
        "FILMGATE_WORKER": str(worker).lower(),
        "FILMGATE_DATA_DIR": str(data_dir),
        "FILMGATE_PORT": str(port),
        "FILMGATE_API_KEY": KEY,
        "FILMGATE_SECRET_KEY": SECRET,
        "FILMGATE_OUTBOUND_ALLOW": "127.0.0.1",
        "FILMGATE_STUDIO": "off",
    }


def settings(data_dir: Path, *, database_url: str = "") -> Settings:
    return Settings(
        data_dir=data_dir,
        database_url=database_url,
        secret_key=SECRET,
        api_key=KEY,
        outbound_allow="127.0.0.1",
        studio="off",
    )


async def prepare(chosen: Settings, upstream: int, *, options: Mapping[str, object]) -> None:
    """Make the database, the client key with its budget, the prices and the account."""
    components = await assemble_components(chosen)
    await components.keys.ensure(KEY, name="bench")
    key = await _key_of(components)
    await components.keys.update(key.id, {"budget_total": "1000000", "budget_daily": "1000000"})
    chat = ModelPrice(per_million_input=Decimal("0.15"), per_million_output=Decimal("0.6"))
    await components.money.prices.set_price("bench", chat)
    for model in MODELS:
        await components.money.prices.set_price(model, ModelPrice(per_second={"*": Decimal("0.001")}))
    await components.pool.add(
        Account(
            id="",
            provider="openai_compatible",
            name="bench",
            base_url=f"http://127.0.0.1:{upstream}/v1",
            secret="upstream-secret",
            models={"bench": "bench-upstream"} | {name: name for name in MODELS},
            slots=5_000,
            options=options,
        )
    )
    await components.close()


async def _key_of(components: Components) -> ClientKey:
    key = await components.keys.find_by_secret(KEY)
    assert key
    return key


# How either store makes text out of numbers; the rest is the same SQL.
SQLITE = {
    "series": "WITH RECURSIVE series(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < {last}) ",
    "hex": "printf('%032x', n)",
    "mark": "printf('%064x', n)",
}
POSTGRES = {
    "series": "WITH series(n) AS (SELECT generate_series(0, {last})) ",
    "hex": "lpad(to_hex(n), 32, '0')",
    "mark": "lpad(to_hex(n), 64, '0')",
}
OPERATION = '{"id":"video_0123456789abcdef","path":"/videos/video_0123456789abcdef","data":{}}'
HISTORY = (
    "INSERT INTO tasks (id, owner, key_id, dialect, kind, model, request, state, epoch, account_id, attempts, "
    "progress, result, fingerprint, created_at, started_at, finished_at, deadline_at, expires_at, upstream_model, "
    "cost, money, operation, purged) {series} SELECT {hex}, '{owner}', '{key}', 'openai', 'video', 'bench-video', "
    "'{request}', 'completed', 1, '{account}', 1, 100.0, '{result}', {mark}, {then}, {then}, {then} + 60, "
    "{then} + 3600, {then} + 70, 'bench-video', 4000000, 'settled', '{operation}', true FROM series",
    "INSERT INTO receipts (task_id, epoch, account_id, operation, at) {series} "
    "SELECT {hex}, 1, '{account}', '{operation}', {then} FROM series",
    "INSERT INTO ledger (at, task_id, kind, owner, key_id, model, amount) {series} "
    "SELECT {then}, {hex}, kind, '{owner}', '{key}', 'bench-video', 4000000 FROM series "
    "CROSS JOIN (SELECT 'reserve' AS kind UNION ALL SELECT 'settle') AS kinds",
    "INSERT INTO timeline (task_id, at, epoch, event) {series} "
    "SELECT {hex}, {then}, 1, event FROM series CROSS JOIN (SELECT 'queued' AS event "
    "UNION ALL SELECT 'submitting' UNION ALL SELECT 'running' UNION ALL SELECT 'completed') AS events",
    "INSERT INTO usage (at, key_id, account_id, model, path, status, milliseconds, cost, task_id) {series} "
    "SELECT {then}, '{key}', '{account}', 'bench-video', '/v1/videos', 200, 1000, 4000000, {hex} FROM series",
)


def add_history(store: Store, count: int) -> None:
    """``count`` finished tasks of the key, with all that a finished task leaves in the store."""
    key = store.query("SELECT id FROM keys")[0][0]
    own = POSTGRES if store.url else SQLITE
    words = own | {
        "series": own["series"].format(last=count - 1),
        "owner": f"key:{key}",
        "key": key,
        "account": store.query("SELECT id FROM accounts")[0][0],
        "then": f"{time.time() - 2 * DAY}",
        "request": '{"kind":"video","model":"bench-video","prompt":"%s"}' % ("a long walk " * 20),
        "result": _result("bench/video.mp4", size=1),
        "operation": OPERATION,
    }
    # A server looks at its tables by itself, a little later, and begins with what it knows then. SQLite never does.
    known = ("ANALYZE",) if store.url else ()
    store.execute(*(statement.format(**words) for statement in HISTORY), *known)


def add_file(store: Store, size: int) -> None:
    """One finished task, ``FILE_ID``, with a film of ``size`` bytes in the folder of files."""
    path = f"{FILE_ID}/video.mp4"
    place = store.folder / "files" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        file.truncate(size)
    key, now = store.query("SELECT id FROM keys")[0][0], time.time()
    store.execute(
        "INSERT INTO tasks (id, owner, key_id, dialect, kind, model, request, state, progress, result, fingerprint, "
        f"created_at, finished_at, deadline_at, expires_at) VALUES ('{FILE_ID}', 'key:{key}', '{key}', 'openai', "
        '\'video\', \'bench-video\', \'{"kind":"video","model":"bench-video","prompt":"a walk"}\', '
        f"'completed', 100, '{_result(path, size=size)}', '{FILE_ID * 2}', {now}, {now}, {now + DAY}, {now + DAY})"
    )


def _result(key: str, *, size: int) -> str:
    file = StoredFile(name="video.mp4", key=key, content_type="video/mp4", bytes=size, seconds=4.0)
    return TaskResult(files=(file,)).model_dump_json()
