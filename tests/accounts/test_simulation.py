"""The simulation of `bench/`, small: moody accounts, a worker that is killed, and nothing lost, sent twice or leaked."""

import io

import pytest
from rich.console import Console

from bench.simulation import Plan, simulate

pytestmark = pytest.mark.slow


async def test_moody_accounts_and_a_killed_worker_harm_nothing() -> None:
    plan = Plan(tasks=80, accounts=6, job_seconds=1.0, kill_seconds=3.0, limit_seconds=150.0)
    text = io.StringIO()
    found = await simulate(plan, None, Console(file=text, width=120))
    assert {what: count for what, count in found.harm.items() if count} == {}, text.getvalue()
    assert found.states["completed"] > 40
