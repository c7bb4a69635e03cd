"""Gates: what judges a prompt before money is reserved, once for each task; what a denial costs; what a rewriting shows."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY
from pydantic import SecretStr
from standardwebhooks import Webhook

from app.db.tables import ledger, tasks
from app.errors import ContentPolicyViolation, InvalidRequest, ServiceUnavailable
from app.generation import GenerationRequest
from app.keys.gate_options import GATE_CHOICES, GateChoice, GateOptions
from app.keys.key import ClientKey, read_terms
from app.media.guard import OutboundGuard
from app.options import read_document
from app.tasks.gates.webhook import GateWebhook
from app.tasks.gates.words import find_word
from app.tasks.prompt_removal import without_wish
from app.tasks.service import RequestContext
from app.tasks.task import Task
from tests.serving import GatewayProcess, until
from tests.tasks.conftest import KEY, Bench, bench, upstream
from tests.tasks.judge import Judge
from tests.upstream import FakeUpstream

__all__ = ["bench", "upstream"]
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two characters").decode()
OWN, SENT = "a red kite", "a red kite over dunes, wide shot"


@pytest.fixture
def judge() -> Iterator[Judge]:
    with Judge() as started:
        yield started


async def set_gates(bench: Bench, **values: Any) -> None:
    await bench.components.options.write(GateOptions, values)


def key_with(**options: str) -> ClientKey:
    return KEY.model_copy(update={"options": options})


def counted(gate: str, verdict: str) -> float:
    return (
        REGISTRY.get_sample_value("filmgate_gate_verdicts_total", {"gate": gate, "verdict": verdict}) or 0.0
    )


async def rows_of(bench: Bench, table: sa.Table) -> int:
    async with bench.components.database.read() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def gates_told(bench: Bench, task: Task) -> Any:
    first = (await bench.components.repository.read_timeline(task.id))[0]
    assert OWN not in str(first)
    return first["detail"].get("gates")


async def test_a_denied_request_costs_nothing_and_leaves_nothing(bench: Bench, judge: Judge) -> None:
    await bench.account()
    await set_gates(bench, default="words+webhook", words=["Red  KITE"], webhook_url=judge.url)
    before = counted("words", "deny")
    with pytest.raises(ContentPolicyViolation) as refused:
        await bench.create(OWN)
    assert refused.value.code == "content_policy_violation"
    assert refused.value.param == "prompt"
    assert counted("words", "deny") == before + 1
    assert judge.asked == []  # the cheapest is asked first
    judge.answer = {"verdict": "deny", "reason": "no kites on Mondays"}
    with pytest.raises(ContentPolicyViolation, match="no kites on Mondays"):
        await bench.create("a green kite")
    assert await rows_of(bench, tasks) == await rows_of(bench, ledger) == 0
    assert bench.upstream.counters().requests == {}


async def test_a_rewritten_prompt_is_sent_once_judged_and_both_are_shown(bench: Bench, judge: Judge) -> None:
    await bench.account()
    await set_gates(bench, default="webhook", webhook_url=judge.url, webhook_secret=SECRET)
    judge.answer = {"verdict": "rewrite", "prompt": SENT}
    context = RequestContext("test", idempotency_key="one")
    made = await bench.create(OWN, context=context, negative_prompt="rain")
    assert (await bench.create(OWN, context=context, negative_prompt="rain")).id == made.id
    await bench.work()
    ended = await bench.ended(made)
    assert ended.state == "completed"
    assert len(judge.asked) == 1
    asked = {"prompt": OWN, "negative_prompt": "rain", "model": "sora-2", "kind": "video"}
    assert asked.items() <= judge.asked[0].items()
    assert judge.asked[0]["key"]["id"] == KEY.id
    Webhook(SECRET).verify(judge.bodies[0], judge.headers[0])
    assert bench.upstream.counters().prompts == {SENT: 1}
    assert (ended.request.prompt, ended.told_prompt) == (SENT, OWN)
    assert ended.told_fields["revised_prompt"] == SENT
    assert await gates_told(bench, made) == [{"gate": "webhook", "verdict": "rewrite"}]
    left = without_wish(ended.request).model_dump_json()
    assert OWN not in left


async def test_keys_have_gates_of_their_own(bench: Bench, judge: Judge) -> None:
    await bench.account()
    await set_gates(bench, default="webhook", webhook_url=judge.url, words=["kite"])
    task = await bench.create(OWN, key=key_with(gates="none"))
    assert await gates_told(bench, task) is None
    with pytest.raises(ContentPolicyViolation):
        await bench.create(OWN, key=key_with(gates="words"))
    assert judge.asked == []
    with pytest.raises(ServiceUnavailable, match=r"moderation.*not set it up"):
        await bench.create("a ball", key=key_with(gates="moderation"))


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 500},
        {"answer": b"<html>"},
        {"answer": {"verdict": "perhaps"}},
        {"answer": {"verdict": "rewrite", "prompt": " "}},
        {"answer": b'"' + b"x" * 300_000 + b'"'},
        {"delay": 3.0},
    ],
    ids=["status", "no JSON", "no verdict", "no prompt", "too long", "too slow"],
)
async def test_a_gate_that_does_not_answer_refuses_unless_the_operator_lets_pass(
    bench: Bench, judge: Judge, trouble: dict[str, Any]
) -> None:
    await bench.account()
    gates = {"default": "webhook", "webhook_url": judge.url, "gate_seconds": 1 if "delay" in trouble else 10}
    await set_gates(bench, **gates)
    for name, value in trouble.items():
        setattr(judge, name, value)
    with pytest.raises(ServiceUnavailable, match=r"webhook.*nothing was made"):
        await bench.create(OWN)
    assert await rows_of(bench, tasks) == 0
    await set_gates(bench, **gates, on_failure="allow")
    assert await gates_told(bench, await bench.create(OWN)) == [{"gate": "webhook", "verdict": "failed"}]


async def test_a_webhook_goes_through_the_outbound_guard(judge: Judge) -> None:
    webhook = GateWebhook(OutboundGuard(()).http_transport())
    try:
        with pytest.raises(ServiceUnavailable):
            await webhook.ask(judge.url, {"prompt": OWN}, secret=SecretStr(""))
    finally:
        await webhook.close()
    assert judge.asked == []


def test_accounts_moderate_and_improve_prompts_over_http(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path / "gateway", FILMGATE_STUDIO="off")
    with FakeUpstream() as vendor:
        vendor.script(flagged="blood", chat_words=[SENT])
        gateway.add_upstream(vendor.url)
        gates = {
            "default": "moderation",
            "moderation_model": "omni-moderation-latest",
            "enhance": True,
            "enhance_model": "gpt-5-mini",
        }
        gateway.prepare(lambda components: components.options.write(GateOptions, gates))
        with gateway, gateway.client() as client:
            denied = client.post("/v1/videos", json={"model": "sora-2", "prompt": "blood on a kite"})
            assert denied.status_code == 400
            error = denied.json()["error"]
            assert error["code"] == "content_policy_violation"
            assert "violence" in error["message"]
            chat = {"model": "sora-2", "messages": [{"role": "user", "content": "blood"}]}
            assert client.post("/v1/chat/completions", json=chat).json()["error"]["code"] == error["code"]
            film = client.post("/v1/videos", json={"model": "sora-2", "prompt": OWN}).json()
            assert (film["prompt"], film["revised_prompt"]) == (OWN, SENT)
            until(lambda: client.get(f"/v1/videos/{film['id']}").json()["status"] == "completed")
            told = client.get("/metrics").text
        seen = vendor.counters()
    assert seen.prompts == {SENT: 1}
    assert seen.last["moderations"].fields["input"] == [OWN]
    assert seen.last["chat"].fields["messages"][-1]["content"] == OWN
    assert 'filmgate_gate_verdicts_total{gate="moderation",verdict="deny"} 2.0' in told
    assert 'filmgate_gate_verdicts_total{gate="enhance",verdict="rewrite"} 1.0' in told


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [
        (("gun",), "A GUN on a table", True),
        (("gun",), "a gunman's begun", False),
        (("two words",), "two\n  WORDS here", True),
        (("gun",), "ｇｕｎ", True),
        (("gun",), "g\u200bun", True),
        (("枪",), "一把手枪", True),
        (("c++",), "write c++ now", True),
        ((), "anything", False),
    ],
)
def test_words_are_found_however_they_are_written(words: tuple[str, ...], text: str, found: bool) -> None:
    assert (find_word(words, [text]) is not None) is found


def test_options_name_what_is_missing() -> None:
    assert set(get_args(GateChoice)) == set(GATE_CHOICES)
    for values, field in (
        ({"default": "words"}, "default"),
        ({"enhance": True}, "enhance_model"),
        ({"webhook_url": "ftp://example.com"}, "webhook_url"),
        ({"webhook_secret": "no secret"}, "webhook_secret"),
        ({"words": [" "]}, "words.0"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            read_document(GateOptions, values)
        assert refused.value.param == field
    assert read_terms({"name": "a", "options": {"gates": "all"}}).options == {"gates": "all"}
    with pytest.raises(InvalidRequest, match="gates must be one of"):
        read_terms({"name": "a", "options": {"gates": "everything"}})


def test_a_request_without_gates_is_written_as_before() -> None:
    """Fingerprints and rows of earlier versions are made of the same text."""
    assert "prompt_asked" not in GenerationRequest(kind="video", model="m").model_dump_json()
