"""``python -m bench.panel``: how long the panel's pages take with a million tasks in the store."""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import asyncpg
import httpx2
from rich.console import Console
from rich.table import Table

from app.db import migrate
from app.db.session import Database
from bench.panel_history import fill
from bench.processes import SERVER_CORE, Process, free_port
from bench.seeding import environment, settings

TOKEN = "bench-token-bench-token-bench-token"
LIMIT = 300
"""Milliseconds."""
PAGES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("overview, 1 h", "overview", {"range": "1h"}),
    ("overview, 24 h", "overview", {"range": "24h"}),
    ("overview, 7 d", "overview", {"range": "7d"}),
    ("overview, 30 d", "overview", {"range": "30d"}),
    ("tasks, newest", "tasks", {}),
    ("tasks, from the middle", "tasks", {"after": "{middle}"}),
    ("tasks, one state", "tasks", {"state": "failed"}),
    ("tasks, open", "tasks", {"state": "open"}),
    ("tasks, outcome unknown", "tasks", {"state": "unknown"}),
    ("tasks, a state that none has", "tasks", {"state": "storing"}),
    ("tasks, a model", "tasks", {"model": "model-3"}),
    ("tasks, a model that none has", "tasks", {"model": "sora-9"}),
    ("tasks, a key and a state", "tasks", {"key": "{key}", "state": "failed"}),
    ("tasks, an account and a model", "tasks", {"account": "{account}", "model": "model-1"}),
    ("tasks, images of a day", "tasks", {"kind": "image", "from": "{from}", "to": "{to}"}),
    ("tasks, a dialect that none has", "tasks", {"dialect": "panel"}),
    ("search, a frequent word", "tasks", {"q": "small town"}),
    ("search, one prompt of last week", "tasks", {"q": "bells {number}"}),
    ("search, no such prompt", "tasks", {"q": "submarine"}),
    ("search, an id", "tasks", {"q": "{middle}"}),
    ("search, in failed ones", "tasks", {"q": "submarine", "state": "failed"}),
    ("keys", "keys", {}),
    ("accounts", "accounts", {}),
    ("requests", "requests", {}),
    ("requests, errors", "requests", {"status": "errors"}),
    ("requests, a status that none has", "requests", {"status": "404"}),
    ("requests, a model that none has", "requests", {"model": "sora-9"}),
    ("usage by model, 30 d", "usage", {"group": "model"}),
    ("usage by day, 30 d", "usage", {"group": "day"}),
    ("usage by model in Shanghai", "usage", {"group": "model", "zone": "Asia/Shanghai"}),
    ("usage by key in Kolkata", "usage", {"group": "key", "zone": "Asia/Kolkata"}),
    ("usage by account in New York", "usage", {"group": "account", "zone": "America/New_York"}),
    ("usage of a key by account", "usage", {"group": "account", "key": "{key}"}),
    ("deliveries", "webhooks/deliveries", {}),
    ("deliveries, failed", "webhooks/deliveries", {"state": "failed"}),
    ("audit", "audit", {}),
    ("audit, an action that none has", "audit", {"action": "route"}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7, help="how often each page is asked for")
    parser.add_argument("--postgres", help="a server: a database of its own is made there, and dropped")
    parser.add_argument("--only", default="", help="pages whose name has this")
    parser.add_argument(
        "--folder", type=Path, help="where a SQLite store is made and kept, to measure it again"
    )
    plan = parser.parse_args()
    if plan.folder:
        plan.folder.mkdir(parents=True, exist_ok=True)
        measure(plan, plan.folder, url="")
        return
    with tempfile.TemporaryDirectory(prefix="filmgate-bench-") as folder:
        if not plan.postgres:
            measure(plan, Path(folder), url="")
            return
        with database_at(plan.postgres) as url:
            measure(plan, Path(folder), url=url)


def measure(plan: argparse.Namespace, folder: Path, *, url: str) -> None:
    console = Console()
    began = time.perf_counter()
    if not (folder / "filmgate.db").exists():
        asyncio.run(prepare(folder, url, count=plan.tasks))
    where = "PostgreSQL" if url else "SQLite"
    console.print(f"{plan.tasks:,} tasks in {where}, made in {time.perf_counter() - began:.0f} s")
    port = free_port()
    variables = environment(folder, port, worker=False) | {"FILMGATE_ADMIN_TOKEN": TOKEN}
    if url:
        variables["FILMGATE_DATABASE_URL"] = url
    with Process("app.cli", "serve", "--quiet", cores=[SERVER_CORE], environment=variables) as server:
        server.wait_for(port, "/health/live")
        headers = {"authorization": f"Bearer {TOKEN}"}
        base = f"http://127.0.0.1:{port}/admin/api/"
        with httpx2.Client(base_url=base, headers=headers, timeout=600) as client:
            show(console, client, plan)


async def prepare(folder: Path, url: str, *, count: int) -> None:
    database_url = url or settings(folder).resolved_database_url
    await asyncio.to_thread(migrate.upgrade, database_url)
    database = Database(database_url)
    await fill(database, count)
    await database.close()


def show(console: Console, client: httpx2.Client, plan: argparse.Namespace) -> None:
    found = client.get("tasks", params={"from": 0, "to": time.time() - 15 * 86_400}).json()["data"][0]
    known = {
        "middle": found["id"],
        "number": str(plan.tasks * 3 // 4),
        "key": found["key"]["id"],
        "account": found["account"]["id"],
        "from": str(time.time() - 10 * 86_400),
        "to": str(time.time() - 9 * 86_400),
    }
    table = Table(
        title=f"Milliseconds of {plan.rounds} answers each; at most {LIMIT} wanted", title_justify="left"
    )
    for name in ("page", "rows", "more", "first", "median", "slowest"):
        table.add_column(name, justify="left" if name == "page" else "right")
    for name, path, query in PAGES:
        if plan.only not in name:
            continue
        filled = {word: text.format(**known) for word, text in query.items()}
        times: list[float] = []
        for _ in range(plan.rounds):
            began = time.perf_counter()
            answer = client.get(f"{path}?{urlencode(filled)}")
            times.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
        body = answer.json()
        median = statistics.median(times)
        mark = "" if median <= LIMIT else "  !"
        rows = str(len(body["data"])) if "data" in body else ""
        table.add_row(
            name,
            rows,
            "yes" if body.get("next") else "",
            f"{times[0]:,.0f}",
            f"{median:,.0f}{mark}",
            f"{max(times):,.0f}",
        )
    console.print(table)


@contextmanager
def database_at(server: str) -> Iterator[str]:
    name = f"filmgate_bench_{os.getpid()}"

    async def run(sql: str) -> None:
        connection = await asyncpg.connect(server)
        await connection.execute(sql)
        await connection.close()

    asyncio.run(run(f"CREATE DATABASE {name}"))
    try:
        yield f"postgresql+asyncpg://{server.split('://', 1)[1].rsplit('/', 1)[0]}/{name}"
    finally:
        asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))


if __name__ == "__main__":
    main()
