"""Many tasks at once: looked at side by side, so that a slow upstream delays none by all the others."""

from tests.tasks.conftest import Bench


async def test_a_hundred_tasks_are_looked_at_side_by_side(bench: Bench) -> None:
    bench.upstream.script(job_seconds=600, latency=1.0)
    await bench.account(slots=100)
    made = [await bench.create(f"film {number}") for number in range(100)]
    await bench.work()
    seen = await bench.upstream.until(lambda counters: len(counters.polls) == len(made), timeout=90)
    assert seen.jobs == len(made)
    assert seen.concurrent_max > 50
