"""Fallback across upstreams, end to end: an upstream that refuses before accepting is skipped, and the timeline shows it."""

import json

import pytest

from app.catalog.route_documents import read_route
from tests.tasks.conftest import Bench
from tests.upstream import FakeUpstream


@pytest.mark.parametrize("status", [429, 401, 402])
async def test_the_next_upstream_serves_what_the_first_refuses(bench: Bench, status: int) -> None:
    bench.upstream.fault("create", status=status, headers={"Retry-After": "60"})
    with FakeUpstream() as spare:
        first = await bench.account("first")
        second = await bench.account("second", url=f"{spare.url}/v1")
        steps = [
            {"account": "first", "model": "best"},
            {
                "account": "second",
                "model": "spare",
                "overrides": {"set": {"seconds": 5, "extra": {"mode": "std"}}},
            },
        ]
        await bench.components.catalog.routes.put(read_route({"model": "sora-2", "candidates": steps}))
        await bench.work()
        task = await bench.ended(await bench.create(seconds=10))
        assert (task.state, task.account_id, task.model) == ("completed", second.id, "sora-2")
        assert task.request.seconds == 10  # what the client asked for stays written
        assert spare.counters().jobs == 1
        assert bench.upstream.counters().jobs == 0
        job = spare.counters().last["create"].fields
        assert (job["model"], float(job["seconds"]), job["mode"]) == ("spare", 5.0, "std")
    events = await bench.components.repository.read_timeline(task.id)
    sent_to = [json.loads(e["detail"]) if isinstance(e["detail"], str) else e["detail"] for e in events]
    where = [d["account"] for d, e in zip(sent_to, events, strict=True) if e["event"] == "dispatched"]
    assert where == [first.id, second.id]
    assert [e["event"] for e in events].count("queued") >= 1


async def test_the_first_is_used_while_it_can_be(bench: Bench) -> None:
    with FakeUpstream() as spare:
        await bench.account("first", slots=2)
        await bench.account("second", url=f"{spare.url}/v1", slots=2)
        steps = [{"account": "first"}, {"account": "second"}]
        await bench.components.catalog.routes.put(read_route({"model": "sora-2", "candidates": steps}))
        await bench.work()
        for number in range(4):
            await bench.ended(await bench.create(str(number)))
        assert spare.counters().jobs == 0
