"""The list of models holds what upstreams list that any name is passed to."""

import asyncio

import pytest

from app.catalog import passed_models
from tests.tasks.conftest import Bench


async def listed(bench: Bench) -> set[str]:
    return {card.name for card in await bench.components.catalog.list_models()}


@pytest.mark.parametrize("models", [{}, {"*": "*"}])
async def test_names_that_pass_through_are_listed(bench: Bench, models: dict[str, str]) -> None:
    await bench.account("passing", models=models)
    assert "fake-chat" in await listed(bench)
    await listed(bench)
    assert bench.upstream.counters().requests["models"] == 1


async def test_a_mapped_account_offers_what_it_maps(bench: Bench) -> None:
    await bench.account("mapped", models={"house": "fake-chat"})
    names = await listed(bench)
    assert "house" in names and "fake-chat" not in names
    assert bench.upstream.counters().requests.get("models", 0) == 0


async def test_an_upstream_that_is_away_is_no_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.account("passing")
    bench.upstream.fault("models", status=500)
    assert "fake-chat" not in await listed(bench)
    monkeypatch.setattr(passed_models, "FAILED_SECONDS", 0.0)
    monkeypatch.setattr(passed_models, "FRESH_SECONDS", 0.0)
    await bench.account("second", models={"*": "*"})
    assert "fake-chat" in await listed(bench)
    bench.upstream.fault("models", status=500, times=None)
    assert "fake-chat" in await listed(bench)  # what it has said last


async def test_one_request_reads_the_list_for_all(bench: Bench) -> None:
    await bench.account("passing")
    found = await asyncio.gather(*(listed(bench) for _ in range(5)))
    assert all("fake-chat" in names for names in found)
    assert bench.upstream.counters().requests["models"] == 1
