"""What the metrics say of upstreams, the store and money, by provider and class."""

import re
import time
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY

from app import clock
from app.components import Components
from app.db.operator_tables import usage_days
from app.db.session import add_to_sums
from app.db.tables import tasks
from app.errors import ServiceUnavailable
from app.health import _count_accounts, _count_tasks, count_spending
from app.media.store import MediaStore
from app.ops import metrics
from app.ops.metrics import count_end
from app.providers.base import Account
from tests.ops.shipped import unknown_metrics
from tests.serving import ROOT, GatewayProcess, until
from tests.tasks.conftest import Bench, bench, upstream
from tests.upstream import FakeUpstream, Fault

__all__ = ["bench", "upstream"]
PROVIDER = 'provider="openai_compatible"'
PLACE = f'account="upstream",model="sora-2",{PROVIDER}'
DAY = 86_400


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_ends_refusals_and_submissions_name_provider_and_class(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path / "gateway", FILMGATE_STUDIO="off")
    with FakeUpstream() as vendor:
        gateway.add_upstream(vendor.url)
        with gateway, gateway.client() as client:

            def ends(state: str) -> None:
                made = client.post(
                    "/v1/videos", json={"model": "sora-2", "prompt": f"A kite {state}"}
                ).json()["id"]
                until(lambda: client.get(f"/v1/videos/{made}").json()["status"] == state)

            ends("completed")
            vendor.script(faults=[Fault(on="create", status=500)])
            ends("failed")
            told = client.get("/metrics").text
    assert unknown_metrics(told) == set()
    place = 'account="upstream",class="{}",model="sora-2",provider="openai_compatible"'
    for line in (
        f"filmgate_task_outcomes_total{{{place.format('completed')}}} 1.0",
        f"filmgate_task_outcomes_total{{{place.format('upstream_error')}}} 1.0",
        f"filmgate_upstream_answers_total{{{place.format('accepted')}}} 1.0",
        f"filmgate_upstream_answers_total{{{place.format('UpstreamFailed')}}} 1.0",
        f"filmgate_upstream_seconds_count{{{PLACE}}} 2.0",
        f"filmgate_queue_wait_seconds_count{{{PLACE}}} 2.0",
        f"filmgate_generation_seconds_count{{{PLACE}}} 1.0",
        f"filmgate_cost_today_dollars{{{PLACE}}} 0.0",
        f'filmgate_tasks_ended_total{{code="",kind="video",{PROVIDER},state="completed"}} 1.0',
        f'filmgate_tasks_ended_total{{code="upstream_error",kind="video",{PROVIDER},state="failed"}} 1.0',
        f'filmgate_upstream_refusals_total{{class="UpstreamFailed",{PROVIDER}}} 1.0',
        f'filmgate_submission_seconds_count{{class="accepted",{PROVIDER}}} 1.0',
        f'filmgate_submission_seconds_count{{class="UpstreamFailed",{PROVIDER}}} 1.0',
    ):
        assert line in told, told
    refused = next(line for line in gateway.log.read_text().splitlines() if "submission.refused" in line)
    assert '"provider": "openai_compatible"' in refused
    assert '"code": "upstream_error"' in refused


async def test_spending_of_today_is_by_provider(bench: Bench) -> None:
    account = await bench.account()
    now = time.time()
    await _spend(bench.components, account.id, now, Decimal("0.5"))
    await _spend(bench.components, account.id, now - DAY, Decimal(7))
    await _spend(bench.components, "removed", now, Decimal("0.25"))
    await count_spending(bench.components, now=now)
    assert value("filmgate_spent_today_dollars", provider="openai_compatible") == 0.5
    assert value("filmgate_spent_today_dollars", provider="") == 0.25
    mine = {"provider": "openai_compatible", "account": account.name, "model": "m"}
    assert value("filmgate_cost_today_dollars", **mine) == 0.5
    metrics.forget_counted()
    assert REGISTRY.get_sample_value("filmgate_spent_today_dollars", {"provider": ""}) is None


async def _spend(components: Components, account_id: str, at: float, cost: Decimal) -> None:
    row = {"day": int(at // DAY), "key_id": "k", "account_id": account_id, "model": "m", "cost": cost}
    figures = dict.fromkeys(("requests", "failed", "input_tokens", "output_tokens"), 1)
    async with components.database.write() as connection:
        await add_to_sums(connection, usage_days, [row | figures])


async def test_errors_of_the_store_are_counted(tmp_path: Path) -> None:
    store = MediaStore.open("", folder=tmp_path / "files")
    (tmp_path / "files" / "tasks").write_text("a file where a folder should be")
    before = value("filmgate_store_errors_total", action="put")
    with pytest.raises(ServiceUnavailable):
        await store.put("tasks/one/video.mp4", b"x")
    assert value("filmgate_store_errors_total", action="put") == before + 1


def test_codes_that_vendors_choose_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_codes", set())
    for number in range(2 * metrics.MOST_CODES):
        count_end("made up", "failed", f"made-up-{number}")
    samples = [line for family in REGISTRY.collect() for line in family.samples]
    codes = {line.labels["code"] for line in samples if line.labels.get("kind") == "made up"}
    assert len(codes) == metrics.MOST_CODES + 1
    ended = value("filmgate_tasks_ended_total", kind="made up", state="failed", code="other", provider="")
    assert ended == metrics.MOST_CODES


def test_models_that_clients_choose_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_places", set())
    account = Account(id="a", provider="made up", name="one")
    places = {metrics.place_labels(account, f"model-{number}") for number in range(2 * metrics.MOST_PLACES)}
    assert len(places) == metrics.MOST_PLACES + 1
    assert ("made up", "other", "other") in places


async def test_cooldowns_are_told_by_account_and_model(bench: Bench) -> None:
    account = await bench.account("cooled")
    await bench.components.pool.start_cooldown(
        account.id, seconds=500, reason="the operator says so", model="sora-2"
    )
    await _count_accounts(bench.components)
    labels = {"provider": account.provider, "account": "cooled", "model": "sora-2", "class": "cooling"}
    assert 0 < value("filmgate_cooldown_seconds", **labels) <= 500
    await bench.components.pool.clear_cooldowns(account.id)
    await _count_accounts(bench.components)
    assert REGISTRY.get_sample_value("filmgate_cooldown_seconds", labels) is None


async def test_a_task_that_is_not_to_begin_yet_does_not_wait(bench: Bench) -> None:
    await bench.account()
    later = await bench.create(start_after=clock.now() + 3600)
    await _count_tasks(bench.components)
    assert value("filmgate_oldest_queued_seconds") == 0
    async with bench.components.database.write() as connection:
        of_later = tasks.c.id == later.id
        begun = {"created_at": clock.now() - 7200, "not_before": clock.now() - 60}
        await connection.execute(sa.update(tasks).where(of_later).values(**begun))
    await _count_tasks(bench.components)
    assert 60 <= value("filmgate_oldest_queued_seconds") < 3600
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(tasks).where(of_later).values(attempts=1))
    await _count_tasks(bench.components)
    assert value("filmgate_oldest_queued_seconds") >= 7200  # refused meanwhile: no refusal shortens a wait


@pytest.mark.parametrize("page", ["operating.md", "operating.zh-CN.md"])
def test_every_metric_stands_in_the_table(page: str) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    made = re.findall(r'(Counter|Gauge|Histogram|Info)\(\s*"filmgate_(\w+)"', sources)
    names = {f"{name}_info" if kind == "Info" else name for kind, name in made}
    assert len(names) > 15
    rows = [line for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert names - told == set()
