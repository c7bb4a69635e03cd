"""The invariants: the product's rows and files compared with what the world knows to be true."""

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app.db.tables import BILLION
from bench.world.clients import BUDGETS
from bench.world.plan import ACCOUNTS
from bench.world.template import PRICE
from bench.world.vendors import Job, film_of

if TYPE_CHECKING:
    from bench.world.world import World

UNIT = int(PRICE * BILLION)
NEIGHBOUR_SECONDS = 30.0
"""In which a healthy peer's work is done: its job takes 5."""
OVERFILLED = """
SELECT accounts.name FROM slots JOIN accounts ON accounts.id = slots.account_id
GROUP BY accounts.id HAVING COUNT(*) > accounts.slots
"""
RECEIPTS = """
SELECT task_id FROM receipts JOIN tasks ON tasks.id = receipts.task_id WHERE receipts.epoch >= tasks.attempt_epoch
"""
OPEN = ("queued", "submitting", "running", "storing")


@contextmanager
def rows_of(world: "World") -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(world.disk.data / "filmgate.db", isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        yield connection
    finally:
        connection.close()


def open_tasks(world: "World") -> int:
    return int(world.engines.look(f"SELECT COUNT(*) FROM tasks WHERE state IN {OPEN}")[0][0])


def check_slots(world: "World") -> None:
    """No account has more tasks than slots."""
    if world.engines.look(OVERFILLED):
        world.violate("an account has more tasks than slots")


def check_accounts(world: "World", rows: sqlite3.Connection) -> None:
    """No account was disabled without its vendor's clear word."""
    for row in rows.execute("SELECT name FROM accounts WHERE NOT enabled ORDER BY name").fetchall():
        number = int(row["name"].removeprefix("account "))
        if number not in world.vendors[number // (ACCOUNTS // 2)].spoke_of:
            world.violate("an account is disabled without its vendor's word")


def check_films(world: "World", rows: sqlite3.Connection) -> None:
    """No film is deleted before its time, and what is completed is in the store."""
    tasks = rows.execute(
        "SELECT id, state, deleted, purged, request, result, error_code FROM tasks"
    ).fetchall()
    jobs = jobs_by_prompt(world)
    now = world.clock.now
    for task in tasks:
        prompt = json.loads(task["request"])["prompt"]
        job = jobs[prompt][-1] if prompt in jobs else None
        if task["error_code"] == "deadline_exceeded":
            client = next(client for client in world.clients if client.wish.prompt == prompt)
            begun = jobs[prompt][0].accepted_at if job is not None else client.asked_at
            if now < begun + world.plan.deadline - 1.0:
                world.violate("a task is failed before its deadline by the true clock")
        if task["state"] != "completed" or task["deleted"]:
            continue
        if job is None:
            world.violate("a task is completed that no vendor made")
            continue
        if now >= job.ready_at + world.plan.kept - 1.0:
            continue  # it may be gone by now, or between its deletion and the mark of it
        if task["purged"]:
            world.violate("a film is deleted before its time")
        elif any(
            world.disk.stored(file["key"]) != film_of(prompt) for file in json.loads(task["result"])["files"]
        ):
            world.violate("a completed task's film is not in the store")


def check(world: "World") -> None:
    """Everything that must hold at the end."""
    with rows_of(world) as rows:
        check_films(world, rows)
        check_accounts(world, rows)
        _check_quiet(world, rows)
        _check_sums(world, rows)
        _check_wishes(world, rows)
        if world.plan.crowd is not None:
            _check_neighbours(world, rows)


def _check_quiet(world: "World", rows: sqlite3.Connection) -> None:
    stuck = rows.execute(f"SELECT state FROM tasks WHERE state IN {OPEN}").fetchall()
    for row in stuck:
        world.violate(f"a task is {row['state']} for ever")
    orphans = rows.execute(
        f"SELECT COUNT(*) FROM slots LEFT JOIN tasks ON tasks.id = slots.task_id WHERE tasks.state IS NULL OR tasks.state NOT IN {OPEN}"
    ).fetchone()[0]
    if orphans:
        world.violate("a slot is held by a task that has ended")
    if not stuck and world.disk.leftovers():
        world.violate("half-copied results are left in the work folder")
    for client in world.clients:
        if not client.is_done:
            world.violate("a client still waits for an answer")


def _check_sums(world: "World", rows: sqlite3.Connection) -> None:
    """The sums of a key are what its entries add up to, and within its budget."""
    held: dict[str, int] = {}
    spent: dict[str, int] = {}
    reserved = {
        row["task_id"]: row["amount"] for row in rows.execute("SELECT * FROM ledger WHERE kind = 'reserve'")
    }
    for row in rows.execute("SELECT * FROM ledger"):
        key = row["key_id"]
        if row["kind"] == "reserve":
            held[key] = held.get(key, 0) + row["amount"]
        elif row["kind"] == "attempt":
            spent[key] = spent.get(key, 0) + row["amount"]
        else:
            held[key] = held.get(key, 0) - reserved[row["task_id"]]
            if row["kind"] == "settle":
                spent[key] = spent.get(key, 0) + row["amount"]
    sums = {row["key_id"]: row for row in rows.execute("SELECT * FROM spending WHERE period = 'total'")}
    for key in held:
        if (sums[key]["reserved"], sums[key]["spent"]) != (held[key], spent.get(key, 0)):
            world.violate("the sums of a key are not those of its ledger")
        exact = world.plan.price == "call"  # otherwise the vendor's figures may exceed the estimate
        if exact and key in BUDGETS and held[key] + spent.get(key, 0) > int(BUDGETS[key] * BILLION):
            world.violate("a key has more than its budget")


def _check_wishes(world: "World", rows: sqlite3.Connection) -> None:
    jobs = jobs_by_prompt(world)
    found: dict[str, list[sqlite3.Row]] = {}
    for row in rows.execute("SELECT * FROM tasks ORDER BY id"):
        found.setdefault(json.loads(row["request"])["prompt"], []).append(row)
    receipts = {row["task_id"] for row in rows.execute(RECEIPTS)}
    entries = {
        row["task_id"]: (row["kind"], row["amount"])
        for row in rows.execute("SELECT * FROM ledger WHERE kind <> 'attempt' ORDER BY id")
    }
    for client in world.clients:
        prompt = client.wish.prompt
        made, tasks = jobs.get(prompt, []), found.get(prompt, [])
        if len(tasks) > 1 and client.wish.repeats:
            world.violate("a repeated request made two tasks")
        if len(made) > sum(row["attempt"] for row in tasks):
            world.violate("a wish is bought twice")
        _check_attempts(world, made, tasks)
        if tasks and made:
            _check_bill(
                world,
                client,
                jobs=made,
                row=tasks[0],
                bill=(entries.get(tasks[0]["id"]), tasks[0]["id"] in receipts),
            )
        elif tasks:
            kind, amount = entries.get(tasks[0]["id"], ("none", 0))
            if kind == "settle" and amount:
                world.violate(f"money is taken for what nobody made ({tasks[0]['error_code']})")


def _check_neighbours(world: "World", rows: sqlite3.Connection) -> None:
    """What key 1 asked a healthy vendor for was not held up by the many tasks of key 0."""
    for row in rows.execute("SELECT * FROM tasks WHERE key_id = 'key1'"):
        if row["state"] != "completed" or row["finished_at"] > row["created_at"] + NEIGHBOUR_SECONDS:
            world.violate("a film waits for the downloads of another vendor")
    for row in rows.execute("SELECT * FROM webhook_deliveries WHERE owner = 'key:key1'"):
        if row["state"] != "delivered" or row["delivered_at"] > row["created_at"] + NEIGHBOUR_SECONDS:
            world.violate("a webhook waits for the receivers of another client")


def jobs_by_prompt(world: "World") -> dict[str, list[Job]]:
    """In the order in which vendors accepted them."""
    jobs = sorted(
        (job for vendor in world.vendors for job in vendor.jobs.values()), key=lambda job: job.accepted_at
    )
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.prompt, []).append(job)
    return found


def _check_attempts(world: "World", made: list[Job], tasks: list[sqlite3.Row]) -> None:
    """A task is bought again only once its vendor has said that it failed, and as often as the route says."""
    if len(tasks) != 1:
        return
    if tasks[0]["attempt"] > 1 + world.plan.retries:
        world.violate("a task goes on more often than its route says")
    for before, job in itertools.pairwise(made):
        if before.told_at is None or before.told_at > job.accepted_at:
            world.violate("a wish is bought again before its vendor has said that it failed")


def _check_bill(
    world: "World", client: Any, *, jobs: list[Job], row: sqlite3.Row, bill: tuple[Any, bool]
) -> None:
    (kind, amount), has_receipt = bill[0] or ("none", 0), bill[1]
    job = jobs[-1]
    code = row["error_code"] or row["state"]
    if row["state"] in OPEN:
        return
    if kind == "release" and not job.refunded:
        world.violate(f"money of accepted work is released ({code}{', receipt' if has_receipt else ''})")
    if kind == "settle" and amount > 4 * UNIT:
        world.violate("a task costs many times its estimate")
    if row["state"] == "completed" and kind != "settle":
        world.violate(f"a completed task is not paid for ({kind})")
    vendor = world.vendors[job.account // (ACCOUNTS // 2)]
    waits = jobs[0].accepted_at + world.plan.deadline
    lasting = vendor.plan.link_life is None and vendor.plan.forgets_after is None
    wanted = not client.wants_to_leave and job.ending == "film" and job.stopped_at is None
    if has_receipt and wanted and lasting and job.ready_at < waits and row["state"] != "completed":
        world.violate(f"a paid film that was ready in time is thrown away ({code})")
