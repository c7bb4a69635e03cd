"""Work stays with the account that took it: looked at, fetched, cancelled and remixed there, also when it was put
out of use since; and each account's traffic goes its own way out."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.accounts.waiting import account_status, create_tasks
from tests.tasks.conftest import Bench
from tests.upstream import FakeUpstream


@pytest.mark.parametrize("end", ["fetched", "cancelled"])
async def test_a_disabled_account_is_still_polled_for_its_tasks(bench: Bench, end: str) -> None:
    bench.upstream.script(job_seconds=3 if end == "fetched" else 60)
    await bench.account("first")
    await bench.work()
    task = await bench.create()
    await bench.reaches(task, "running")
    with FakeUpstream() as elsewhere:
        await bench.account("second", url=f"{elsewhere.url}/v1")
        await bench.components.accounts.disable("first")
        ended = await (bench.ended(task) if end == "fetched" else bench.components.tasks.cancel(task))
        assert ended.state == ("completed" if end == "fetched" else "cancelled")
        seen = bench.upstream.counters()
        assert set(seen.keys) == {"secret-of-first"}
        assert (len(seen.downloads), len(seen.deletes)) == ((1, 0) if end == "fetched" else (0, 1))
        assert elsewhere.counters().requests == {}


async def test_every_poll_uses_the_account_that_submitted(bench: Bench) -> None:
    bench.upstream.script(job_seconds=0.4)
    for name in ("a", "b", "c"):
        await bench.account(name, slots=4)
    await bench.work()
    made = await create_tasks(bench, 9)
    for task in made:
        assert (await bench.ended(task)).state == "completed"
    # The upstream knows a job only under the key that made it.
    assert bench.upstream.counters().jobs_by_key == {f"secret-of-{name}": 3 for name in ("a", "b", "c")}
    assert [(await account_status(bench, name)).statistics.successes for name in ("a", "b", "c")] == [3, 3, 3]


async def test_a_remix_goes_to_its_sources_account_also_when_it_is_disabled(bench: Bench) -> None:
    maker = await bench.account("maker")
    await bench.work()
    source = await bench.ended(await bench.create("source"))
    await bench.account("other")
    await bench.components.accounts.disable("maker")
    remix = await bench.ended(await bench.create("remix", action="remix", remix_of=source.id))
    assert (remix.state, remix.account_id) == ("completed", maker.id)
    assert bench.upstream.counters().requests["remix"] == 1
    assert not (await account_status(bench, "maker")).enabled


async def test_a_remix_goes_elsewhere_when_the_secret_of_its_sources_account_is_refused(bench: Bench) -> None:
    await bench.account("maker")
    await bench.work()
    source = await bench.ended(await bench.create("source"))
    other = await bench.account("other")
    await bench.components.accounts.disable("maker")
    bench.upstream.fault("remix", status=401, key="secret-of-maker", times=None)
    remix = await bench.ended(await bench.create("remix", action="remix", remix_of=source.id))
    assert remix.account_id == other.id


@asynccontextmanager
async def forward_proxy(seen: Counter[str]) -> AsyncIterator[str]:
    """Passes absolute-form requests on, and counts them by who asks."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def forward(request: web.BaseRequest) -> web.StreamResponse:
            seen[request.headers.get("Proxy-Authorization", "")] += 1
            headers = {k: v for k, v in request.headers.items() if not k.lower().startswith("proxy-")}
            body = await request.read()
            async with session.request(request.method, request.url, data=body, headers=headers) as answer:
                found = web.Response(status=answer.status, body=await answer.read())
                found.headers["Content-Type"] = answer.headers.get("Content-Type", "")
                return found

        runner = web.ServerRunner(web.Server(forward), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://user:word@127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_each_account_uses_its_own_proxy(bench: Bench) -> None:
    seen: Counter[str] = Counter()
    async with forward_proxy(seen) as proxy:
        await bench.account("proxied", proxy=proxy)
        await bench.work()
        assert (await bench.ended(await bench.create())).state == "completed"
        assert set(seen) == {"Basic dXNlcjp3b3Jk"}
        assert sum(seen.values()) == sum(bench.upstream.counters().requests.values())
        through = sum(seen.values())
        await bench.account("plain")
        await bench.components.accounts.disable("proxied")
        assert (await bench.ended(await bench.create("again"))).state == "completed"
        assert sum(seen.values()) == through
