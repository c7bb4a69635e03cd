"""Usage by key, model, account and day, and the table for spreadsheets."""

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest
import sqlalchemy as sa

from app.db.session import Database
from app.db.tables import usage
from app.errors import InvalidRequest
from app.usage import recorder
from app.usage.recorder import DAY_SECONDS
from app.usage.reports import UsageGroup, UsageReports, UsageSpan, as_csv, read_groups, read_moment

MIDNIGHT = datetime(2020, 1, 21, tzinfo=UTC).timestamp()


async def note(database: Database, **given: object) -> None:
    row: dict[str, object] = {
        "key_id": "k",
        "account_id": "a",
        "model": "bot",
        "path": "/v1/x",
        "status": 200,
        "milliseconds": 1.0,
    }
    async with database.write() as connection:
        row |= {"at": MIDNIGHT, "cost": Decimal("0.1"), "input_tokens": None, "output_tokens": None} | given
        await connection.execute(sa.insert(usage), row)
        await recorder.add_usage(connection, [row])


async def test_sums_by_every_grouping(database: Database) -> None:
    await note(database, input_tokens=5, output_tokens=7)
    await note(database, at=MIDNIGHT - 0.001, model="film", cost=Decimal(2))
    await note(database, at=MIDNIGHT + DAY_SECONDS - 0.001, status=502, cost=Decimal(0))
    await note(database, key_id="other", account_id="b", cost=Decimal(40))
    reports, span = UsageReports(database), {"since": MIDNIGHT - DAY_SECONDS, "until": MIDNIGHT + DAY_SECONDS}
    by_day = await reports.usage_lines(("day", "model"), UsageSpan(key_id="k", **span))
    assert [(line.day, line.model, line.requests, line.failed, line.cost) for line in by_day] == [
        ("2020-01-21", "bot", 2, 1, Decimal("0.1")),
        ("2020-01-20", "film", 1, 0, Decimal(2)),
    ]
    assert (by_day[0].input_tokens, by_day[0].output_tokens, by_day[1].input_tokens) == (5, 7, 0)
    counts = [(line.requests, line.failed, line.input_tokens, line.output_tokens) for line in by_day]
    assert json.dumps(counts) == "[[2, 1, 5, 7], [1, 0, 0, 0]]"
    by_account = await reports.usage_lines(("account",), UsageSpan(**span))
    assert [(line.account, line.cost) for line in by_account] == [("a", Decimal("2.1")), ("b", Decimal(40))]
    by_key = await reports.usage_lines(("key",), UsageSpan(model="bot", **span))
    assert [(line.key, line.requests) for line in by_key] == [("k", 2), ("other", 1)]
    [total] = await reports.usage_lines((), UsageSpan(since=MIDNIGHT, until=MIDNIGHT + 1))
    assert (total.requests, total.cost) == (2, Decimal("40.1"))
    [nothing] = await reports.usage_lines((), UsageSpan(since=0, until=1))
    assert (nothing.requests, nothing.cost) == (0, Decimal(0))


async def test_no_cell_is_a_formula(database: Database) -> None:
    names = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tx", 'say "hi", ok', "模型"]
    for name in names:
        await note(database, model=name)
    lines = await UsageReports(database).usage_lines(
        ("model",), UsageSpan(since=0, until=MIDNIGHT + DAY_SECONDS)
    )
    text = as_csv(lines, ("model",))
    heading, *rows = list(csv.reader(text.splitlines()))
    assert heading == [
        "model",
        "requests",
        "failed",
        "input_tokens",
        "output_tokens",
        "cost",
        "films",
        "film_seconds",
    ]
    assert {row[0] for row in rows} == {
        "'=HYPERLINK(1)", "'+1", "'-1", "'@SUM(A1)", "'\tx", 'say "hi", ok', "模型",
    }  # fmt: skip
    assert {row[heading.index("cost")] for row in rows} == {"0.10"}


def test_moments_and_groups_are_read_or_refused() -> None:
    assert read_moment("2020-01-21", param="from") == MIDNIGHT
    assert read_moment("2020-01-21", param="to", end=True) == MIDNIGHT + DAY_SECONDS
    assert read_moment("12.5", param="to") == 12.5
    for wrong in ("yesterday", "2026-13-01", "-1", "nan", "inf", "1e30"):
        with pytest.raises(InvalidRequest) as told:
            read_moment(wrong, param="from")
        assert told.value.param == "from"
    assert read_groups(["day", "model"]) == ("model", "day")
    with pytest.raises(InvalidRequest):
        read_groups(["prompt"])


@pytest.mark.parametrize(
    "groups", [(), ("day",), ("key",), ("day", "model"), ("account", "key", "model", "day")]
)
async def test_days_that_are_cut_and_days_that_are_whole_are_what_the_rows_say(
    database: Database, groups: tuple[UsageGroup, ...]
) -> None:
    chance = Random(20)
    rows = [
        {
            "at": MIDNIGHT + chance.uniform(-3, 0) * DAY_SECONDS,
            "model": chance.choice("ab"),
            "key_id": chance.choice("kl"),
            "status": chance.choice((200, 500)),
        }
        for _ in range(60)
    ]
    for row in rows:
        await note(database, **row)
    for _ in range(25):
        since, until = sorted(
            MIDNIGHT + chance.choice((0.0, 0.3, 0.9)) * DAY_SECONDS - chance.randrange(4) * DAY_SECONDS
            for _ in "ab"
        )
        lines = await UsageReports(database).usage_lines(
            groups, UsageSpan(since=since, until=until, key_id="k")
        )
        mine = [row for row in rows if since <= row["at"] < until and row["key_id"] == "k"]
        assert sum(line.requests for line in lines) == len(mine)
        assert sum(line.failed for line in lines) == sum(row["status"] == 500 for row in mine)
        for line in lines if "day" in groups else ():
            same = [
                row for row in mine if word_of(row["at"]) == line.day and line.model in (None, row["model"])
            ]
            assert line.requests == len(same) > 0


def word_of(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
