"""Models that their vendors retire: told in time, and replaced where a route says so."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.catalog.retirement_watch import TOPIC, RetirementWatch
from app.catalog.retirements import current_model, find_retirements, today
from app.catalog.route_documents import read_route
from app.db.tables import webhook_deliveries
from app.providers import model_facts
from app.webhooks.notice_options import NoticeOptions
from tests.tasks.conftest import Bench
from tests.tasks.test_billing import rows

Retire = Callable[..., None]


@pytest.fixture
def retire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Retire]:
    """Writes the facts of ``openai_compatible``: by model, in how many days it retires and what comes after it."""
    monkeypatch.setattr(model_facts, "FOLDER", tmp_path / "facts")
    (tmp_path / "facts").mkdir()

    def write(**days: tuple[int, str]) -> None:
        lines = ['source = "https://models.example.com"', f"checked = {today()}"]
        for name, (left, successor) in days.items():
            lines += ["[[models]]", f'ids = ["{name}"]', f"retires = {today() + timedelta(days=left)}"]
            lines += [f'successor = "{successor}"'] if successor else []
        (tmp_path / "facts" / "openai_compatible.toml").write_text("\n".join(lines))
        model_facts.read_facts.cache_clear()

    yield write
    model_facts.read_facts.cache_clear()


async def route(bench: Bench, name: str, **line: Any) -> None:
    await bench.components.catalog.routes.put(
        read_route({"model": name, "candidates": [{"account": "farm"} | line]})
    )
    await bench.components.catalog.refresh()


async def test_what_accounts_and_routes_name_is_found(bench: Bench, retire: Retire) -> None:
    retire(old=(7, "new"), older=(-1, ""), far=(31, "new"), unnamed=(1, ""))
    await bench.account("farm", models={"film": "old", "clip": "far"})
    await route(bench, "routed", model="older")
    found = find_retirements(await bench.components.catalog.named_models())
    assert [(each.name, each.model, each.days_left(today())) for each in found] == [
        ("routed", "older", -1), ("film", "old", 7),
    ]  # fmt: skip
    assert "in 7 days" in found[1].as_text(today()) and "successor is new" in found[1].as_text(today())


async def test_a_route_takes_the_successor_after_the_last_day_where_it_says_so(
    bench: Bench, retire: Retire
) -> None:
    retire(old=(-1, "newer"), newer=(-1, "newest"), last=(0, "next"), lone=(-1, ""))
    assert [current_model("openai_compatible", name) for name in ("old", "last", "lone", "other")] == [
        "newest", "last", "lone", "other",
    ]  # fmt: skip
    await bench.account("farm")
    catalog = bench.components.catalog
    for told, expected in ({"model": "old"}, "old"), ({"model": "old", "successor": True}, "newest"):
        await route(bench, "film", **told)
        assert [each.model for each in catalog.candidates("video", "film")] == [expected]
    task = await bench.create(model="film")
    await bench.work()
    await bench.ended(task)
    ended = await bench.components.repository.get(task.id)
    assert ended is not None and (ended.state, ended.upstream_model) == ("completed", "newest")
    # It is still told, with what is taken in its place.
    [found] = find_retirements(await catalog.named_models())
    assert (found.model, found.replaced) == ("old", True)


async def test_each_notice_is_sent_once(bench: Bench, retire: Retire) -> None:
    receiver = {"name": "pager", "url": "https://pager.example.com/hook"}
    await bench.components.options.write(NoticeOptions, {"receivers": [receiver]})
    await bench.account("farm", models={"film": "old", "clip": "older"})
    catalog, notices = bench.components.catalog, bench.components.notices

    async def told() -> list[str]:
        # Another worker each time: what was told stands in the store.
        await RetirementWatch(catalog, notices).check()
        await RetirementWatch(catalog, notices).check()
        return [row.event for row in await rows(bench, webhook_deliveries)]

    for day, expected in ((31, 0), (30, 1), (20, 1), (7, 2), (2, 2), (1, 3), (0, 3), (-5, 3)):
        retire(old=(day, "new"))
        assert await told() == [TOPIC] * expected, day
