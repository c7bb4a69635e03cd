"""Days of zones: every midnight of every zone lies between two hours that have sums of their own."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo, available_timezones

import pytest

from app.db.session import Database
from app.errors import InvalidRequest
from app.usage.reports import UsageReports, UsageSpan
from app.usage.sums import hour_after, hour_of
from app.usage.zones import offset_spans, read_zone, start_of_day
from tests.usage.test_reports import note

YEAR = [date(2026, 1, 1) + timedelta(days=number) for number in range(366)]


def test_every_midnight_on_earth_is_where_an_hour_with_sums_begins() -> None:
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        # The offsets of a year change seldom: looking at every fifth day finds each of them.
        for day in YEAR[::5]:
            at = start_of_day(day, zone)
            assert hour_of(at) * 60 == hour_after(at) * 60 == at, (name, day)


@pytest.mark.parametrize(
    "name",
    [
        "Asia/Shanghai",
        "Asia/Kathmandu",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Pacific/Chatham",
    ],
)
async def test_days_of_a_zone_are_what_its_calendar_says(database: Database, name: str) -> None:
    zone, chance = ZoneInfo(name), Random(name)
    # Around the days on which clocks change, in either half of the earth.
    moments = [
        datetime(2026, month, 1, tzinfo=UTC).timestamp() + chance.uniform(0, 31) * 86_400
        for month in (3, 4, 10)
        for _ in range(40)
    ]
    bounds = [
        start_of_day(date(2026, month, day), zone) for month, day in ((3, 8), (4, 5), (10, 25), (10, 30))
    ]
    moments += [bound + shift for bound in bounds for shift in (-1, 0, 1)]
    for at in moments:
        await note(database, at=at)
    span = UsageSpan(
        start_of_day(date(2026, 2, 20), zone), start_of_day(date(2026, 11, 20), zone), zone, key_id="k"
    )
    lines = await UsageReports(database).usage_lines(("day",), span)
    expected: dict[str, int] = {}
    for at in moments:
        day = datetime.fromtimestamp(at, zone).date().isoformat()
        expected[day] = expected.get(day, 0) + 1
    assert {line.day: line.requests for line in lines} == expected
    assert sum(line.cost for line in lines) == Decimal("0.1") * len(moments)


def test_clocks_that_change_are_found_to_the_minute() -> None:
    zone = ZoneInfo("Europe/Berlin")
    since, until = (start_of_day(date(2026, month, 1), zone) for month in (1, 12))
    winter, summer = datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert [offset for _, offset in offset_spans(zone, since, until)] == [60, 120, 60]
    bounds = [bound for bound, _ in offset_spans(zone, since, until)]
    assert bounds[:2] == [int(summer.timestamp()) // 60, int(winter.timestamp()) // 60]


def test_only_zones_that_exist_are_taken() -> None:
    assert read_zone("").key == "UTC" and read_zone("Asia/Shanghai").key == "Asia/Shanghai"
    for wrong in ("Mars/Base", "../../etc/passwd", "/etc/localtime", "Asia", "x" * 100, "时区", "a\0b"):
        with pytest.raises(InvalidRequest) as told:
            read_zone(wrong)
        assert told.value.param == "zone"


async def test_keys_together_with_accounts_are_summed_by_utc_day(database: Database) -> None:
    at = datetime(2026, 3, 3, 20, tzinfo=UTC).timestamp()
    await note(database, at=at)
    await note(database, at=at, account_id="b")
    zone = ZoneInfo("Asia/Shanghai")
    span = UsageSpan(at - 86_400, at + 86_400, zone, key_id="k", account_ids=["a"])
    [line] = await UsageReports(database).usage_lines(("day",), span)
    assert (line.day, line.requests) == ("2026-03-03", 1)
    banded = UsageSpan(at - 86_400, at + 86_400, zone, bands={"both": ["a", "b"]})
    [line] = await UsageReports(database).usage_lines(("account", "day"), banded)
    assert (line.account, line.day, line.requests) == ("both", "2026-03-04", 2)
