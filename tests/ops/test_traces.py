"""Traces: one film over a kill in one trace, calls, refusals, waits in vain, and nothing where nobody collects."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.ops import tracing
from app.ops.access import RequestNotes
from app.tasks.service import RequestContext
from tests.ops.collector import Collector, Span
from tests.relay.gateway import running_gateway
from tests.serving import KEY, ROOT, GatewayProcess, until
from tests.tasks.conftest import KEY as OWNER
from tests.tasks.conftest import Bench, bench, upstream
from tests.upstream import FakeUpstream

__all__ = ["bench", "upstream"]
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{CALLER}-01"
PROMPT = "a lantern that nobody may read about"
STAGES = ["accept", "wait", "submit", "poll", "copy", "deliver"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as started:
        yield started


@pytest.fixture
def collected(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """The exporter of this process leads there; a test begins it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    return collector


def traced(task_notes: str = PARENT) -> RequestContext:
    return RequestContext("test", notes=RequestNotes(traceparent=task_notes))


@pytest.mark.slow
def test_a_film_is_one_trace_over_a_kill(tmp_path: Path, database_url: str, collector: Collector) -> None:
    gateway = GatewayProcess(
        tmp_path / "gateway",
        FILMGATE_DATABASE_URL=database_url,
        FILMGATE_HEARTBEAT_SECONDS="1",
        FILMGATE_STUDIO="off",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="50",
    )
    with FakeUpstream() as vendor:
        account = gateway.add_upstream(vendor.url)
        vendor.script(statuses=["in_progress"])
        gateway.start()
        with gateway.client() as client:
            asked = {"model": "sora-2", "prompt": PROMPT, "seconds": "4"}
            answer = client.post("/v1/videos", json=asked, headers={"traceparent": PARENT})
            film = answer.json()["id"]
        collector.wait_for("submit")
        until(lambda: vendor.counters().requests.get("poll"))
        polled_before = vendor.counters().last["poll"].headers["traceparent"]
        gateway.kill()
        vendor.script(statuses=["completed"])
        with gateway, gateway.client() as client:
            until(lambda: client.get(f"/v1/videos/{film}").json()["status"] == "completed")
        seen = vendor.counters().last
    in_order = [collector.named(name) for name in STAGES]
    assert [len(found) for found in in_order] == [1] * len(STAGES), collector.spans
    spans = {name: found for name, (found,) in zip(STAGES, in_order, strict=True)}
    assert {span.trace for span in collector.spans} == {TRACE}
    accept, submit = spans["accept"], spans["submit"]
    assert (accept.parent, accept.kind, accept.service) == (CALLER, "server", "filmgate")
    assert {span.parent for span in spans.values() if span is not accept} == {accept.id}
    assert seen["create"].headers["traceparent"] == submit.traceparent
    assert polled_before.split("-")[1] == TRACE
    assert seen["poll"].headers["traceparent"] == spans["poll"].traceparent
    assert_told(spans, account.id)
    assert (
        spans["submit"].ended <= spans["poll"].began + 0.1
    )  # as its vendor took it, in the run that was killed
    assert (spans["submit"].fields["filmgate.run"], spans["poll"].fields["filmgate.run"]) == (1, 2)
    for secret in (PROMPT, KEY, "upstream-secret"):
        assert secret.encode() not in collector.received


def assert_told(spans: dict[str, Span], account_id: str) -> None:
    asked = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.output.type": "video",
        "gen_ai.request.model": "sora-2",
    }
    for span in spans.values():
        assert asked.items() <= span.fields.items()
        assert not span.failed
    made = {
        "gen_ai.provider.name": "openai_compatible",
        "gen_ai.response.model": "sora-2",
        "filmgate.account.id": account_id,
    }
    assert made.items() <= spans["submit"].fields.items()
    assert spans["submit"].kind == "client"
    assert spans["accept"].fields["http.response.status_code"] == 200


async def test_a_relayed_call_is_a_span_that_its_upstream_is_told(
    tmp_path: Path, collected: Collector
) -> None:
    with FakeUpstream() as vendor:
        async with tracing.exported_traces(os.environ), running_gateway(tmp_path) as gateway:
            await gateway.add_account(vendor.url)
            message = {"role": "user", "content": PROMPT}
            answer = await gateway.client.post(
                "/v1/chat/completions",
                json={"model": "bot", "messages": [message]},
                headers={"traceparent": PARENT},
            )
            assert answer.status_code == 200
            refused = await gateway.client.post("/v1/chat/completions", json={"model": "nobody's"})
            await gateway.client.get("/v1/models")
        seen = vendor.counters().last["chat"].headers["traceparent"]
    (called,) = collected.named("chat bot")
    assert (called.trace, called.parent, called.kind) == (TRACE, CALLER, "server")
    assert seen == called.traceparent
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "bot",
        "gen_ai.response.model": "vendor-bot",
        "gen_ai.provider.name": "openai_compatible",
    }
    assert told.items() <= called.fields.items()
    (failed,) = collected.named("chat nobody's")
    assert failed.trace != TRACE
    assert failed.fields["error.type"] == str(refused.status_code)
    assert len(collected.spans) == 2
    assert PROMPT.encode() not in collected.received


async def test_a_refusal_and_a_wait_in_vain_are_told(bench: Bench, collected: Collector) -> None:
    await bench.account()
    bench.upstream.fault(on="create", status=500)
    async with tracing.exported_traces(os.environ):
        waiting = await bench.create(PROMPT, context=traced())
        await bench.components.tasks.cancel(waiting)
        failing = await bench.create(PROMPT, context=traced())
        await bench.work()
        await bench.ended(failing)
    (submit,) = collected.named("submit")
    assert submit.failed
    assert submit.fields["error.type"] == "UpstreamFailed"
    vain, served = sorted(collected.named("wait"), key=lambda span: not span.failed)
    assert vain.fields["error.type"] == "cancelled"
    assert vain.fields["filmgate.task.id"] == waiting.id
    assert not served.failed
    assert collected.named("poll") == []
    assert {span.parent for span in collected.spans} == {CALLER}


async def test_a_task_that_waits_again_has_a_second_wait(bench: Bench, collected: Collector) -> None:
    await bench.account()
    bench.upstream.fault(on="create", status=429, headers={"retry-after": "1"})
    async with tracing.exported_traces(os.environ):
        task = await bench.create(PROMPT, context=traced())
        await bench.work()
        await bench.ended(task)
    first, second = sorted(collected.named("submit"), key=lambda span: span.began)
    assert (first.failed, second.failed) == (True, False)
    assert first.fields["error.type"] == "UpstreamBusy"
    waits = sorted(collected.named("wait"), key=lambda span: span.began)
    assert len(waits) == 2
    assert waits[1].began >= first.began
    assert waits[1].ended <= second.began + 0.1


async def test_a_clients_trace_is_passed_on_where_nothing_is_exported(bench: Bench) -> None:
    await bench.account()
    task = await bench.create(context=traced())
    assert (await bench.components.tasks.get(task.id, OWNER)).traceparent == PARENT
    await bench.work()
    await bench.ended(task)
    seen = bench.upstream.counters().last
    sent = {call: seen[call].headers.get("traceparent") for call in ("create", "poll")}
    assert sent == dict.fromkeys(sent, PARENT)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (PARENT, PARENT),
        (f"cc-{TRACE}-{CALLER}-01-what-comes-later", PARENT),
        (f"ff-{TRACE}-{CALLER}-01", ""),
        (f"00-{'0' * 32}-{CALLER}-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"00-{TRACE.upper()}-{CALLER}-01", ""),
        (f"{PARENT}\r\nx-evil: 1", ""),
        ("", ""),
    ],
)
def test_what_is_no_traceparent_counts_as_none(given: str, read: str) -> None:
    assert tracing.read_traceparent(given.encode()) == read


def test_nothing_is_loaded_without_a_collector() -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    program = (
        "import os, sys, asyncio; import app.main; from app.ops.tracing import exported_traces, is_traced\n"
        "async def work():\n"
        "    async with exported_traces(os.environ): assert not is_traced()\n"
        "asyncio.run(work())\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=clean, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("more", "event"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "traces.unavailable"),
        ({"OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_what_is_switched_off_or_not_spoken_is_not_begun(more: dict[str, str], event: str | None) -> None:
    with capture_logs() as logs:
        tracing.start_export({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"} | more)
    assert not tracing.is_traced()
    assert [line["event"] for line in logs] == ([event] if event else [])


async def test_a_collector_that_is_away_harms_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    await bench.account()
    async with tracing.exported_traces(os.environ):
        task = await bench.create(context=traced())
        await bench.work()
        assert (await bench.ended(task)).state == "completed"
