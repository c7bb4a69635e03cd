"""Usage, the request log and the overview: rows, sums, and CSV."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from tests.admin.conftest import UPSTREAM_SECRET, Browser, account, make
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

FORMULA = "=cmd|calc"


@pytest.fixture(scope="module")
def busy(owner: Browser, gateway: GatewayProcess, upstream: FakeUpstream, film: Any) -> Any:
    """A key with relayed calls and a task, and two prices."""
    owner.post(
        "/accounts", status=201,
        json=account("talker", upstream, secret=f"{UPSTREAM_SECRET}-t", kinds=["text"], models={"talk": "fake-chat", FORMULA: "fake-chat"}),
    )  # fmt: skip
    owner.must("PUT", "/prices/film", json={"document": {"per_call": "0.5"}})
    key = owner.post("/keys", status=201, json={"name": "talkative"})
    with gateway.client(key=key["secret"]) as client:
        for model in ("talk", "talk", FORMULA):
            words = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
            assert client.post("/v1/chat/completions", json=words).status_code == 200
        upstream.fault("chat", status=500, times=None)
        client.post(
            "/v1/chat/completions", json={"model": "talk", "messages": [{"role": "user", "content": "x"}]}
        )
        upstream.reset()
    assert owner.ended(make(gateway, key["secret"]))["cost"] == "0.5"
    owner.must("DELETE", "/prices/film", status=204)
    until(lambda: len(owner.get(f"/requests?key={key['id']}")["data"]) >= 5)
    return key


def test_requests_are_filtered(owner: Browser, busy: Any) -> None:
    mine = f"key={busy['id']}"
    rows = owner.get(f"/requests?{mine}")["data"]
    assert {row["key"]["name"] for row in rows} == {"talkative"}
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True) or len(rows) >= 5
    talked = owner.get(f"/requests?{mine}&model=talk&status=2xx")["data"]
    assert {(row["account"]["name"], row["status"]) for row in talked} == {("talker", 200)} and len(
        talked
    ) == 2
    [filmed] = owner.get(f"/requests?{mine}&path=tasks/")["data"]
    assert (filmed["path"], filmed["cost"], filmed["model"]) == ("tasks/video", "0.5", "film") and filmed[
        "task_id"
    ]
    wrong = owner.get(f"/requests?{mine}&status=errors")["data"]
    assert wrong and all(row["status"] >= 400 for row in wrong)
    assert owner.get(f"/requests?{mine}&status={wrong[0]['status']}")["data"]
    assert owner.get(f"/requests?{mine}&from={rows[0]['at'] + 1000}")["data"] == []
    for query, param in (("status=9", "status"), ("status=abc", "status"), ("after=x", "after")):
        assert owner.refused("GET", f"/requests?{query}") == (400, param)
    first = owner.get(f"/requests?{mine}&limit=2")
    rest = owner.get(f"/requests?{mine}&after={first['next']}")
    assert first["data"] + rest["data"] == rows


def test_usage_is_summed(owner: Browser, busy: Any) -> None:
    mine = f"key={busy['id']}"
    rows = owner.get(f"/requests?{mine}&limit=200")["data"]
    for group in ("key", "model", "account", "day"):
        found = owner.get(f"/usage?{mine}&group={group}")
        assert found["total"]["requests"] == len(rows) == sum(row["requests"] for row in found["data"])
        assert found["total"]["errors"] == len([row for row in rows if row["status"] >= 400])
        assert (
            Decimal(found["total"]["cost"])
            == sum(Decimal(row["cost"]) for row in found["data"])
            == Decimal("0.5")
        )
    models = {row["group"]: row for row in owner.get(f"/usage?{mine}&group=model")["data"]}
    assert models["film"]["cost"] == "0.5" and models["talk"]["input_tokens"] > 0
    assert [row["name"] for row in owner.get(f"/usage?{mine}&group=key")["data"]] == ["talkative"]
    assert owner.get(f"/usage?{mine}&model=film")["total"]["requests"] == 1
    assert owner.get("/usage?key=nobody")["total"] == {
        "requests": 0, "errors": 0, "films": 0, "film_seconds": 0, "input_tokens": 0, "output_tokens": 0,
        "cost": "0", "vendor_cost": "0", "unknown_costs": 0, "margin": "0",
    }  # fmt: skip
    assert owner.refused("GET", "/usage?group=weather") == (400, "group")


def test_no_csv_cell_is_a_formula(owner: Browser, busy: Any) -> None:
    for path in (f"/requests.csv?key={busy['id']}", f"/usage.csv?key={busy['id']}&group=model"):
        answer = owner.ask("GET", path)
        assert (
            answer.headers["content-type"].startswith("text/csv")
            and "attachment" in answer.headers["content-disposition"]
        )
        rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
        cells = [cell for row in rows for cell in row]
        assert f"'{FORMULA}" in cells
        assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    assert owner.refused("GET", "/requests.csv?status=x") == (400, "status")


@pytest.mark.parametrize("span", ["1h", "24h", "7d", "30d"])
def test_the_overview(owner: Browser, busy: Any, span: str) -> None:
    found = owner.get(f"/overview?range={span}")
    totals = found["totals"]
    assert totals["tasks"] == totals["completed"] + totals["failed"] + totals["cancelled"] > 0
    assert sum(found["series"]["completed"]) == totals["completed"]
    assert len({len(values) for values in found["series"].values()}) == 1
    film = next(row for row in found["models"] if row["model"] == "film")
    assert film["completed"] and film["p50_seconds"] <= film["p95_seconds"]
    assert Decimal(found["spend"]["today"]) >= Decimal("0.5")
    assert found["accounts"]["total"] == len(owner.get("/accounts")["data"])
    for state, count in found["accounts"]["states"].items():
        assert len(owner.get(f"/accounts?state={state}")["data"]) == count, state
    assert found["queue"].keys() == {"queued", "submitting", "running", "storing", "slots"}
    # Counted at most every five minutes, so not yet what was made meanwhile.
    assert until(lambda: owner.get("/overview")["storage"]["files"] is not None)
    assert owner.refused("GET", "/overview?range=1y")[0] == 400
