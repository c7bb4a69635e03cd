"""Relayed calls follow the route's order, tiers and shares."""

from collections import Counter

from app.catalog.route_documents import read_route
from app.catalog.route_repository import RouteRepository
from tests.relay.gateway import RelayGateway
from tests.upstream import FakeUpstream, closed_port


def by_account(upstream: FakeUpstream) -> Counter[str]:
    return Counter({key.removeprefix("sk-up-"): count for key, count in upstream.counters().keys.items()})


async def test_calls_that_never_overlap_are_shared_by_weight(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    await gateway.add_account(upstream.url, name="heavy", weight=3.0)
    await gateway.add_account(upstream.url, name="light")
    for _ in range(16):
        assert (await gateway.send_chat()).status_code == 200
    assert by_account(upstream) == {"heavy": 12, "light": 4}


async def test_a_lower_tier_is_used_first(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(upstream.url, name="paid", tier=1)
    await gateway.add_account(upstream.url, name="free", tier=0)
    for _ in range(4):
        assert (await gateway.send_chat()).status_code == 200
    assert by_account(upstream) == {"free": 4}


async def test_a_route_sets_the_order_and_the_fallback(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(f"http://127.0.0.1:{closed_port()}", name="first")
    await gateway.add_account(upstream.url, name="second", models={})
    await gateway.add_account(upstream.url, name="outside")
    steps = [{"account": "first"}, {"account": "second", "model": "vendor-bot"}]
    await RouteRepository(gateway.database).put(read_route({"model": "bot", "candidates": steps}))
    assert (await gateway.send_chat()).status_code == 200
    assert by_account(upstream) == {"second": 1}
    assert upstream.counters().last["chat"].fields["model"] == "vendor-bot"


async def test_an_alias_is_relayed_under_its_target(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(upstream.url)
    await RouteRepository(gateway.database).put(read_route({"model": "helper", "alias_of": "bot"}))
    assert (await gateway.send_chat(model="helper")).status_code == 200
    assert upstream.counters().last["chat"].fields["model"] == "vendor-bot"
