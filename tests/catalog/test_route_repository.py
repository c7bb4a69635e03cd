"""Routes in the store: written, read back, changed by another process, owned by the file or the operator."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from app.catalog.route_documents import read_route
from app.catalog.route_repository import RouteRepository
from app.db.tables import routes
from app.errors import InvalidRequest, NotFound
from tests.tasks.conftest import Bench, replica, settings_for
from tests.upstream import FakeUpstream

ROUTE = read_route({"model": "sora-2", "candidates": [{"tag": "fast", "model": "wan"}], "note": "mine"})


async def test_a_route_comes_back_as_it_was(bench: Bench) -> None:
    book = bench.components.catalog.routes
    await book.put(ROUTE)
    assert (await book.get("sora-2")).document == ROUTE
    assert [route.document for route in await book.list()] == [ROUTE]
    other = ROUTE.model_copy(update={"note": "changed"})
    await book.put(other)
    assert [route.document for route in await book.list()] == [other]
    await book.delete("sora-2")
    assert await book.list() == []
    for gone in (book.get("sora-2"), book.delete("sora-2")):
        with pytest.raises(NotFound):
            await gone


async def test_a_change_is_seen_at_once_here_and_at_the_next_read_elsewhere(
    tmp_path: Path, database_url: str, upstream: FakeUpstream
) -> None:
    settings = settings_for(tmp_path, database_url)
    async with replica(settings, upstream) as one, replica(settings, upstream) as other:
        account = await one.account(models={"wan": "wan"}, tags=frozenset({"fast"}))
        before = one.components.catalog.revision
        await one.components.catalog.routes.put(ROUTE)
        assert one.components.catalog.revision > before
        assert [c.model for c in one.components.catalog.candidates("video", "sora-2")] == ["wan"]
        await other.components.catalog.refresh()
        found = other.components.catalog.candidates("video", "sora-2")
        assert [(c.account.id, c.model) for c in found] == [(account.id, "wan")]


async def test_a_route_from_the_file_is_changed_only_there(bench: Bench) -> None:
    book = bench.components.catalog.routes
    await book.put(ROUTE, source="file")
    with pytest.raises(InvalidRequest, match="configuration file"):
        await book.put(ROUTE)
    with pytest.raises(InvalidRequest, match="configuration file"):
        await book.delete("sora-2")
    await book.release_from_file("sora-2", reason="Gone from the file.")
    released = await book.get("sora-2")
    assert (released.source, released.document.enabled) == ("store", False)
    assert released.document.note == "mine\nGone from the file."
    await book.delete("sora-2")


async def test_a_route_that_can_not_be_read_does_not_stop_the_others(bench: Bench) -> None:
    book = bench.components.catalog.routes
    await book.put(ROUTE)
    await book.put(ROUTE.model_copy(update={"model": "bad"}))
    async with bench.components.database.write() as connection:
        spoilt = sa.update(routes).where(routes.c.model == "bad").values(candidates='[{"colour": "red"}]')
        await connection.execute(spoilt)
    fresh = RouteRepository(bench.components.database)
    assert list(await fresh.current_documents()) == ["sora-2"]
