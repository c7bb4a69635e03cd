"""Reports read sums, by their primary keys: neither the rows of calls nor tasks, of which there may be millions."""

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from app.db.session import Database
from app.usage.reports import UsageGroup, UsageReports, UsageSpan
from app.usage.zones import read_zone, start_of_day
from tests.usage.test_zones import YEAR


@pytest.mark.parametrize("groups", [("model", "day"), ("key", "day"), ("account", "day"), ("day",), ()])
@pytest.mark.parametrize("more", [{}, {"key_id": "k"}, {"account_ids": ["a", "b"]}, {"model": "m"}])
async def test_a_report_of_whole_days_reads_sums_by_their_key(
    database: Database, groups: tuple[UsageGroup, ...], more: dict[str, Any]
) -> None:
    asked: list[tuple[str, Any]] = []

    def executed(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if not statement.startswith("EXPLAIN"):
            asked.append((statement, parameters))

    zone = read_zone("Asia/Kolkata")
    span = UsageSpan(start_of_day(YEAR[0], zone), start_of_day(YEAR[30], zone), zone, **more)
    event.listen(Engine, "before_cursor_execute", executed)
    try:
        await UsageReports(database).usage_lines(groups, span)
    finally:
        event.remove(Engine, "before_cursor_execute", executed)
    assert asked and not any("tasks" in statement for statement, _ in asked)
    if database.is_postgres:  # which chooses a plan by the number of rows
        return
    with database.writing_engine.connect() as connection:
        for statement, values in asked:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            steps = [row[3] for row in rows]
            assert not any(step.startswith("SCAN") for step in steps), (statement, steps)
