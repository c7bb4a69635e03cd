"""A year's worth of rows for the panel's bench: tasks, and what is kept beside them, by one statement a table."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from app.db.session import Database
from app.usage.recorder import delete_old_rows
from app.usage.sums import MINUTES_OF_HOURS

DAYS = 30
OPEN = 200
"""So many of the newest tasks have not ended."""
PROMPT = "a long walk through a small town in the rain, seen from above, with the sound of bells "
ERRORS = ("content_policy_violation", "upstream_error", "rate_limited", "submission_unknown")
# How either store makes text out of numbers; the rest is the same SQL.
SQLITE = {
    "hex12": "printf('%012x', {})",
    "hex20": "printf('%020x', {})",
    "hour": "CAST(finished_at / 3600 AS INTEGER)",
    "whole": "CAST({} AS INTEGER)",
    "day": "strftime('%Y-%m-%d', {}, 'unixepoch')",
}
POSTGRES = {
    "hex12": "lpad(to_hex(CAST({} AS BIGINT)), 12, '0')",
    "hex20": "lpad(to_hex(CAST({} AS BIGINT)), 20, '0')",
    "hour": "CAST(floor(finished_at / 3600) AS INTEGER)",
    "whole": "CAST(floor({}) AS INTEGER)",
    "day": "to_char(to_timestamp({}) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}
SERIES = (
    "WITH RECURSIVE series(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < {count} - 1), "
    "made AS (SELECT n, {now} - ({count} - n) * {step} AS at FROM series) "
)
TASKS = (
    "INSERT INTO tasks (id, owner, key_id, dialect, kind, model, request, state, epoch, account_id, attempts, "
    "progress, error_code, error_message, result, fingerprint, created_at, started_at, finished_at, deadline_at, "
    "upstream_model, cost, purged) {series} SELECT "
    "{id12} || {id20}, 'key:' || {key}, {key}, CASE n % 4 WHEN 0 THEN 'openai' WHEN 1 THEN 'chat' "
    "WHEN 2 THEN 'unified' ELSE 'tasks' END, CASE WHEN n % 20 = 0 THEN 'image' ELSE 'video' END, {model}, "
    '\'{{"kind":"video","model":"model","prompt":"{prompt}\' || n || \'","extra":{{"note":"{prompt}"}}}}\', '
    "{state}, 1, {account}, 1, 100.0, {error}, CASE WHEN {error} IS NULL THEN NULL ELSE 'It did not work.' END, "
    "NULL, {id12} || {id20}, at, at + 1, CASE WHEN {open} THEN NULL ELSE at + 40 + (n % 400 * 7919) % 400 END, "
    "at + 3600, 'upstream-' || (n % 6), 150000000, {true} FROM made"
)
ENDED = "finished_at IS NOT NULL AND fingerprint = id"
"""Of the tasks made here: those of a store that is in use have a real fingerprint, and were counted when they ended."""


def on_top(table: str, keys: str, sums: str) -> str:
    """The end of an INSERT that adds to the rows that are there."""
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums.split(", "))
    return f" ON CONFLICT ({keys}) DO UPDATE SET {added}"


ROLLUP = (
    "INSERT INTO rollup (hour, model, outcome, bucket, tasks, cost) "
    "SELECT {hour}, model, CASE WHEN state = 'failed' THEN error_code ELSE state END, "
    "CAST(42 + (finished_at - created_at - 40) * 28 / 400 AS INTEGER), count(*), sum(cost) "
    f"FROM tasks WHERE {ENDED} GROUP BY 1, 2, 3, 4"
) + on_top("rollup", "hour, model, outcome, bucket", "tasks, cost")
USAGE = (
    "INSERT INTO usage (at, key_id, account_id, model, path, status, input_tokens, output_tokens, milliseconds, "
    "cost, task_id, films, film_milliseconds, vendor_cost) SELECT finished_at, key_id, account_id, model, "
    "'/v1/videos', CASE WHEN state = 'completed' THEN 200 ELSE 502 END, NULL, NULL, 1000, cost, id, "
    "CASE WHEN state = 'completed' THEN 1 ELSE 0 END, CASE WHEN state = 'completed' THEN 8000 ELSE 0 END, 90000000 "
    f"FROM tasks WHERE {ENDED}"
)
SUMS = "requests, failed, input_tokens, output_tokens, cost, films, film_milliseconds, vendor_cost, unknown_costs"
ADDED = (
    "count(*), sum(CASE WHEN status = 200 THEN 0 ELSE 1 END), 0, 0, sum(cost), sum(films), sum(film_milliseconds), "
    "sum(vendor_cost), 0 FROM usage WHERE task_id IN (SELECT id FROM tasks WHERE fingerprint = id) GROUP BY 1, 2, 3, 4"
)
USAGE_DAYS = (
    f"INSERT INTO usage_days (day, key_id, account_id, model, {SUMS}) "
    f"SELECT {{day}}, key_id, account_id, model, {ADDED}"
) + on_top("usage_days", "day, key_id, account_id, model", SUMS)
USAGE_HOURS = (
    f"INSERT INTO usage_hours (side, minute, party, model, {SUMS}) "
    f"SELECT '{{side}}', {{minute}}, {{side}}_id, model, {ADDED}"
) + on_top("usage_hours", "side, minute, party, model", SUMS)
SPENDING = (
    "INSERT INTO spending (key_id, period, reserved, spent) "
    "SELECT key_id, {period}, 0, sum(cost) FROM usage WHERE key_id IN (SELECT key_id FROM tasks WHERE fingerprint = id) "
    "GROUP BY 1, 2"
)
DELIVERIES = (
    "INSERT INTO webhook_deliveries (id, endpoint_id, task_id, owner, receiver, url, event, body, state, attempts, "
    "next_at, created_at, delivered_at) SELECT 'evt_' || id, 'whe_1', id, owner, 'example.com', "
    "'https://example.com/hook', 'video.completed', '{{}}', 'delivered', 1, created_at, created_at, created_at "
    "FROM tasks WHERE state = 'completed' AND fingerprint = id AND key_id < '{some}'"
)
AUDIT = (
    "INSERT INTO audit (at, actor, action, target, before, after) {series} "
    "SELECT at, 'admin', CASE WHEN n % 3 = 0 THEN 'key.updated' ELSE 'account.updated' END, "
    "'keys/' || (n % 50), '{{}}', '{{}}' FROM made"
)
KEYS = (
    "INSERT INTO keys (id, name, hash, enabled, created_at) {series} "
    "SELECT {key}, 'key ' || n, 'hash ' || n, {true}, at FROM made"
)


def hours_in_sql(minute: str) -> str:
    """As ``hour_of`` of app/usage/sums.py."""
    cases = " ".join(
        f"WHEN {minute} / 60 % 24 = {hour} THEN {minute} / {step} * {step}"
        for hour, step in MINUTES_OF_HOURS.items()
    )
    return f"CASE {cases} ELSE {minute} / 60 * 60 END"


def run_statements(engine: sa.Engine, statements: Iterable[str]) -> None:
    for statement in statements:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)


@dataclass(frozen=True)
class Cast:
    """Who the tasks are of; ``model`` and ``account`` are SQL of a task's number ``n``, the newest last."""

    model: str = "'model-' || ((n / 7) % 6)"
    account: str = ""
    keys: int = 50
    open: int = OPEN
    prompt: str = PROMPT * 2


def task_statement(words: dict[str, str], cast: Cast, series: str, *, count: int) -> str:
    is_open = f"n >= {count - cast.open}"
    error = "CASE n % 4 " + " ".join(f"WHEN {i} THEN '{word}'" for i, word in enumerate(ERRORS)) + " END"
    return TASKS.format(
        series=series,
        id12=words["hex12"].format("CAST(at * 1000 AS BIGINT)"),
        id20=words["hex20"].format("n"),
        key=f"'key-' || {words['hex12'].format(f'n % {cast.keys}')}",
        model=cast.model,
        account=cast.account or f"'{'0' * 20}' || {words['hex12'].format('n % 30')}",
        state=f"CASE WHEN {is_open} THEN 'running' WHEN n % 100 < 92 THEN 'completed' "
        "WHEN n % 100 < 98 THEN 'failed' ELSE 'cancelled' END",
        error=f"CASE WHEN {is_open} OR n % 100 < 92 THEN NULL WHEN n % 100 < 98 THEN {error} ELSE 'cancelled' END",
        open=is_open,
        prompt=cast.prompt,
        true="true",
    )


async def fill(database: Database, count: int, *, cast: Cast | None = None) -> None:
    """``count`` tasks over the last thirty days, of fifty keys, six models and thirty accounts, or as ``cast`` says; also
    beside what a store in use holds."""
    cast = cast or Cast()
    words = POSTGRES if database.is_postgres else SQLITE
    now = time.time()
    series = SERIES.format(count=count, now=now, step=DAYS * 86_400 / count)
    task = task_statement(words, cast, series, count=count)
    keys = KEYS.format(
        series=SERIES.format(count=cast.keys, now=now, step=1.0),
        key=f"'key-' || {words['hex12'].format('n')}",
        true="true",
    )
    audit = AUDIT.format(series=SERIES.format(count=100_000, now=now, step=DAYS * 86_400 / 100_000))
    spending = SPENDING.format(period=words["day"].format("at"))
    deliveries = DELIVERIES.format(some=f"key-{10:012x}")
    # Not by way of text(): it would look for parameters in the documents.
    rollup = ROLLUP.format(hour=words["hour"])
    days = USAGE_DAYS.format(day=words["whole"].format("at / 86400"))
    minute = hours_in_sql(words["whole"].format("at / 60"))
    hours = [USAGE_HOURS.format(side=side, minute=minute) for side in ("key", "account")]
    statements = (task, rollup, USAGE, days, *hours, keys, spending, deliveries, audit)
    if database.is_postgres:
        for statement in statements:
            async with database.write() as connection:
                await connection.exec_driver_sql(statement)
    else:
        await asyncio.to_thread(run_statements, database.writing_engine, statements)
    await delete_old_rows(
        database, now=now, request_days=DAYS, audit_days=DAYS
    )  # as a worker does every hour
    if database.is_postgres:  # which looks at its tables by itself, a little later
        async with database.write() as connection:
            await connection.execute(sa.text("ANALYZE"))
