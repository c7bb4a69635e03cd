"""Tasks of several keys of one project: its places, its money, and joined films."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from app.catalog.price import ModelPrice
from app.db.tables import ledger, tasks, usage
from app.errors import InsufficientQuota, RateLimited
from app.keys.key import ClientKey
from app.keys.projects import ProjectRepository
from app.ops.access import RequestNotes
from app.tasks.budget_watch import low_budgets
from app.tasks.service import RequestContext
from app.tasks.states import SEGMENT_OWNER
from app.usage.balance import find_differences
from app.usage.ledger import read_spending
from tests.tasks.conftest import Bench
from tests.tasks.test_segments import PROMPT, joining

PRICE = Decimal("0.20")


async def mates(bench: Bench, **limits: str | int) -> tuple[str, ClientKey, ClientKey]:
    """A project's id and two of its keys."""
    parts = bench.components
    await parts.money.prices.set_price("sora-2", ModelPrice(per_call=PRICE))
    made = await ProjectRepository(parts.database, parts.vault, parts.keys).create(
        {"name": "films", **limits}
    )
    one, two = [(await parts.keys.create_key({"name": n, "project": "films"}))[0] for n in ("one", "two")]
    return made.id, one, two


async def test_open_tasks_are_counted_over_all_keys(bench: Bench) -> None:
    _, one, two = await mates(bench, tasks_limit=2)
    await bench.account()
    first = await bench.create(key=one)
    await bench.create(key=two)
    for key in (one, two):
        with pytest.raises(RateLimited, match="project"):
            await bench.create(key=key)
    await bench.create()  # of another owner
    await bench.components.tasks.cancel(first)
    await bench.create(key=two)


async def test_money_and_labels_follow_a_task_to_its_end(bench: Bench) -> None:
    project, one, two = await mates(bench, budget_total="0.50")
    await bench.account()
    notes = RequestNotes(end_user="u-1", tags='["blue"]')
    made = [
        await bench.create(key=one, context=RequestContext("test", notes=notes)),
        await bench.create(key=two),
    ]
    with pytest.raises(InsufficientQuota, match="project's total"):
        await bench.create(key=two)
    assert [
        (low.key_id, low.left)
        for low in await low_budgets(bench.components.database, share=0.3, now=made[0].created_at)
    ] == [(project, Decimal("0.10"))]
    await bench.work()
    for task in made:
        assert (await bench.ended(task)).state == "completed"
    async with bench.components.database.read() as connection:
        assert await find_differences(connection) == []
        assert (await read_spending(connection, project, ["total"]))["total"] == (0, 2 * PRICE)
        rows = (await connection.execute(sa.select(ledger.c.project_id).distinct())).scalars().all()
        told = await connection.execute(sa.select(usage.c.end_user, usage.c.tags).order_by(usage.c.id))
    assert rows == [project]
    assert {tuple(row) for row in told} == {("u-1", '["blue"]'), (None, None)}


async def test_segments_of_a_joined_film_are_the_projects_too(bench: Bench) -> None:
    project, one, _ = await mates(bench, budget_total="3", tasks_limit=1)
    await joining(bench)
    context = RequestContext("test", notes=RequestNotes(end_user="u-1"))
    await bench.create(PROMPT, key=one, seconds=25, context=context)
    segments = tasks.c.owner.startswith(SEGMENT_OWNER)
    async with bench.components.database.read() as connection:
        users = (await connection.execute(sa.select(tasks.c.end_user).where(segments))).scalars().all()
        held = (await connection.execute(sa.select(ledger.c.project_id))).scalars().all()
        assert (await read_spending(connection, project, ["total"]))["total"] == (Decimal("2.5"), 0)
    assert users == ["u-1"] * 4 and held == [project] * 4
    with pytest.raises(RateLimited, match="project"):  # the film is one task, not four
        await bench.create(PROMPT, key=one, seconds=25)
