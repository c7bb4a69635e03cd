"""A client is forgotten: all that quotes it goes from both stores, what others have stays, and no sum changes."""

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.catalog.price import read_price
from app.db.operator_tables import audit, usage_days
from app.db.tables import ledger, metadata, spending, usage
from app.errors import InvalidRequest, NotFound
from app.keys.key import ClientKey
from app.tasks import pruning
from app.tasks.key_removal import ForgottenKey, forget_key
from app.tasks.service import RequestContext
from app.usage.balance import find_differences, find_imbalances
from tests.tasks.conftest import Bench, upstream

__all__ = ["upstream"]
CANARY = "wilhelmina"
PICTURE = {"role": "first_frame", "content_type": "image/png", "content": b"\x89PNG"}


async def forget(bench: Bench, key: ClientKey) -> ForgottenKey:
    components = bench.components
    return await forget_key(components.database, components.store, keys=components.keys, key_id=key.id)


async def rows(bench: Bench, *tables: sa.Table) -> list[Any]:
    found: list[Any] = []
    async with bench.components.database.read() as connection:
        assert await find_imbalances(connection) == [] == await find_differences(connection)
        for table in tables:
            found += [tuple(row) for row in await connection.execute(sa.select(table))]
    return sorted(found, key=str)


async def make(bench: Bench, name: str, project: str | None = None) -> ClientKey:
    """A key that has all that a client can leave here."""
    components = bench.components
    key, _ = await components.keys.create_key(
        {"name": f"{name} {CANARY}", "project": project, "note": CANARY}
    )
    await components.endpoints.create(
        key.owner, name=CANARY, url=f"https://example.com/{CANARY}", event_types=["video.completed"]
    )
    context = RequestContext("openai_videos", hook_url=f"https://example.com/{CANARY}")
    await bench.ended(await bench.create(f"for {CANARY}", key=key, context=context, media=[PICTURE]))
    async with components.database.write() as connection:
        row = {"at": 1.0, "actor": "ada", "action": "key.made", "target": f"keys/{key.id}", "after": CANARY}
        await connection.execute(sa.insert(audit), row)
    return key


async def test_nothing_quotes_a_forgotten_client(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH_ROWS", 1)
    components = bench.components
    await bench.account()
    await components.money.prices.set_price("sora-2", read_price({"per_call": "0.5"}))
    await bench.work()
    key, other = await make(bench, "alone"), await make(bench, "other")
    task = await bench.ended(await bench.create(f"again {CANARY}", key=key))
    assert task.result is not None
    books = await rows(bench, spending, usage, usage_days, ledger)
    done = await forget(bench, key)
    assert (done.tasks, done.webhook_endpoints, done.shared) == (2, 1, False)
    assert await rows(bench, spending, usage, usage_days, ledger) == books
    left = [row for row in await rows(bench, *metadata.sorted_tables) if CANARY in str(row)]
    assert left and not [row for row in left if key.id in str(row) or task.id in str(row)]
    assert {str(row).count(other.id) > 0 or other.owner in str(row) for row in left} >= {True}
    with pytest.raises(NotFound):
        await components.store.get(task.result.files[0].key)
    with pytest.raises(NotFound):
        await components.keys.get(key.id)
    assert (await forget(bench, other)).tasks == 1
    assert [row for row in await rows(bench, *metadata.sorted_tables) if CANARY in str(row)] == []


async def test_keys_of_a_project_keep_what_they_share(bench: Bench) -> None:
    await bench.account()
    await bench.work()
    first, second = await make(bench, "first", CANARY), await make(bench, "second", CANARY)
    done = await forget(bench, first)
    assert (done.tasks, done.webhook_endpoints, done.shared) == (1, 0, True)
    assert (await forget(bench, second)).webhook_endpoints == 2
    assert [row for row in await rows(bench, *metadata.sorted_tables) if CANARY in str(row)] == []


async def test_what_runs_or_is_held_comes_first(bench: Bench) -> None:
    components = bench.components
    await components.money.prices.set_price("sora-2", read_price({"per_call": "0.5"}))
    await bench.account()
    key, _ = await components.keys.create_key({"name": "shop"})
    bench.upstream.fault("create", do="reset")
    task = await bench.create("held", key=key)
    with pytest.raises(InvalidRequest, match="1 tasks that have not ended: cancel"):
        await forget(bench, key)
    await bench.work()
    assert (await bench.ended(task)).money == "held"
    with pytest.raises(InvalidRequest, match="filmgate held list"):
        await forget(bench, key)
    assert (await components.keys.get(key.id)).enabled
    await components.money.billing.settle_held(task.id, Decimal("0.25"))
    assert (await forget(bench, key)).tasks == 1
    assert {row.spent for row in await spent(bench, key)} == {Decimal("0.25")}


async def spent(bench: Bench, key: ClientKey) -> list[Any]:
    async with bench.components.database.read() as connection:
        found = await connection.execute(sa.select(spending).where(spending.c.key_id == key.id))
        return list(found.all())
