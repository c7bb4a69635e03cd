"""Tasks of all keys in the panel: filtered, shown, cancelled, repeated, settled, deleted and exported."""

import csv
import io
import time
from typing import Any

import httpx2
import pytest

from tests.admin.conftest import UPSTREAM_SECRET, Browser, make
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_png


@pytest.fixture(scope="module")
def failed(owner: Browser, farm: Any, upstream: FakeUpstream, gateway: GatewayProcess, key: Any) -> Any:
    """A task that an upstream refuses with a message that contains our secret."""
    body = {"error": {"message": f"no, {UPSTREAM_SECRET}, for sk-canary-0123456789", "code": "invalid"}}
    upstream.fault("create", status=400, body=body, prompt="refused")
    found = owner.ended(make(gateway, key["secret"], prompt="refused"))
    assert found["state"] == "failed"
    return found


@pytest.fixture
def slow(owner: Browser, farm: Any, upstream: FakeUpstream, gateway: GatewayProcess, key: Any) -> Any:
    """Creates tasks that run until they are cancelled."""
    upstream.script(job_seconds=600)
    made: list[str] = []

    def one(**given: Any) -> str:
        made.append(make(gateway, key["secret"], prompt="slow", **given))
        until(lambda: owner.get(f"/tasks/{made[-1]}")["state"] == "running")
        return made[-1]

    yield one
    owner.post("/tasks/cancel", json={"ids": made})
    for task in made:
        owner.ended(task)
    upstream.reset()


def ids(owner: Browser, query: str) -> list[str]:
    return [row["id"] for row in owner.get(f"/tasks?{query}")["data"]]


def test_everything_about_a_task(owner: Browser, film: Any, key: Any, farm: Any) -> None:
    assert (film["kind"], film["model"], film["upstream_model"], film["dialect"]) == (
        "video",
        "film",
        "film-up",
        "openai_videos",
    )
    assert film["key"] == {"id": key["id"], "name": "shop"} and film["account"] == {
        "id": farm["id"],
        "name": "farm",
    }
    events = [event["event"] for event in film["timeline"]]
    assert (
        events[0] == "received"
        and events[-1] == "completed"
        and {"submitting", "running", "storing"} <= set(events)
    )
    assert film["request"]["prompt"] == "=HYPERLINK(a boat)" and film["operation"]["id"]
    assert film["actions"] == {"cancel": False, "retry": True, "settle": False}
    [file] = film["files"]
    with httpx_of(owner) as http:
        video = http.get(file["link"])
        assert video.status_code == 200 and video.headers["content-type"] == "video/mp4"
        assert len(video.content) == file["bytes"]
        assert http.get(film["thumbnail"]).headers["content-type"].startswith("image/")


def httpx_of(owner: Browser) -> httpx2.Client:
    """Without a cookie: links are signed."""
    base = str(owner.http.base_url).removesuffix("/admin/api/")
    return httpx2.Client(base_url=base, timeout=60)


def test_tasks_are_filtered(owner: Browser, film: Any, failed: Any, key: Any, farm: Any) -> None:
    mine = f"key={key['id']}"
    assert set(ids(owner, f"{mine}&state=completed")) >= {film["id"]}
    assert failed["id"] in ids(owner, f"{mine}&state=failed")
    assert set(ids(owner, f"{mine}&state=failed,completed")) >= {film["id"], failed["id"]}
    assert failed["id"] not in ids(owner, f"{mine}&state=open") + ids(owner, f"{mine}&state=unknown")
    assert set(ids(owner, "model=film&kind=video&dialect=openai_videos")) >= {film["id"], failed["id"]}
    assert film["id"] in ids(owner, f"account={farm['id']}") and ids(owner, "account=nobody") == []
    assert ids(owner, "q=hyperlink(A") == [film["id"]] == ids(owner, f"q=video_{film['id']}")
    assert ids(owner, f"q={film['id']}") == [film["id"]]
    assert ids(owner, "q=%25") == [] == ids(owner, "model=_ilm") == ids(owner, "q=nobody said this")
    made = film["created_at"]
    assert film["id"] in ids(owner, f"from={made - 60}&to={made + 60}")
    assert film["id"] not in ids(owner, f"from={made + 0.1}")
    assert film["id"] not in ids(owner, f"to={made - 0.1}")
    assert owner.refused("GET", "/tasks?state=lost") == (400, "state")
    assert owner.refused("GET", "/tasks?from=yesterday")[0] == 400
    assert owner.refused("GET", "/tasks?after=x") == (400, "after")
    assert owner.refused("GET", "/tasks?limit=201") == (400, "limit")


def test_pages_have_each_task_once(
    owner: Browser, film: Any, failed: Any, key: Any, gateway: GatewayProcess
) -> None:
    made = [make(gateway, key["secret"], prompt=f"page {number}") for number in range(5)]
    for task in made:
        owner.ended(task)
    for query in ("model=film", f"key={key['id']}", "state=completed&model=film", "q=page"):
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = owner.get(f"/tasks?{query}&limit=2&after={cursor}")
            assert len(page["data"]) <= 2
            seen += [row["id"] for row in page["data"]]
            cursor = page["next"]
        assert seen == ids(owner, f"{query}&limit=200") == sorted(set(seen), reverse=True)
        assert set(made) <= set(seen)


def test_an_error_is_shown_without_secrets(owner: Browser, failed: Any) -> None:
    assert failed["error"]["code"] and "sk-canary" not in str(failed)
    assert failed["actions"] == {"cancel": False, "retry": True, "settle": False}


def test_a_task_is_cancelled(owner: Browser, slow: Any, upstream: FakeUpstream) -> None:
    task = slow()
    found = owner.post(f"/tasks/{task}/cancel")
    assert found["id"] == task
    assert owner.ended(task)["state"] == "cancelled"
    assert upstream.counters().deletes  # upstream too
    assert owner.post(f"/tasks/{task}/cancel")["state"] == "cancelled"


def test_several_tasks_are_cancelled(owner: Browser, slow: Any, film: Any, key: Any) -> None:
    first, second = slow(), slow()
    done = owner.post("/tasks/cancel", json={"ids": [first, f"video_{second}", film["id"], "nobody"]})
    assert done == {"cancelled": 2, "ended": 1, "unknown": 1, "ids": [first, second]}
    assert {owner.ended(task)["state"] for task in (first, second)} == {"cancelled"}
    third = slow()
    assert owner.post("/tasks/cancel", json={"filter": {"key": "somebody"}})["cancelled"] == 0
    assert owner.post("/tasks/cancel", json={"filter": {"key": key["id"]}})["ids"] == [third]
    assert owner.refused("POST", "/tasks/cancel", json={})[0] == 400
    assert owner.refused("POST", "/tasks/cancel", json={"ids": ["x"] * 201}) == (400, "ids")
    assert owner.refused("POST", "/tasks/cancel", json={"filter": {"state": "lost"}}) == (400, "state")


def test_a_task_is_repeated_with_its_inputs(
    owner: Browser, gateway: GatewayProcess, upstream: FakeUpstream, key: Any
) -> None:
    picture = tiny_png()
    with gateway.client(key=key["secret"]) as client:
        made = client.post(
            "/v1/videos", data={"model": "film", "prompt": "from a picture"},
            files={"input_reference": ("a.png", picture, "image/png")},
        )  # fmt: skip
    assert made.status_code == 200, made.text
    task = owner.ended(made.json()["id"])
    [item] = task["inputs"]
    answer = owner.http.get(item["link"].removeprefix("/admin/api"))
    assert (answer.content, answer.headers["content-type"]) == (picture, "image/png")
    again = owner.post(f"/tasks/{task['id']}/retry", status=201)
    assert again["id"] != task["id"] and again["key"]["id"] == key["id"]
    owner.must("DELETE", f"/tasks/{task['id']}", status=204)  # what the new one needs is its own
    found = owner.ended(again["id"])
    assert (found["state"], found["request"]["prompt"]) == ("completed", "from a picture")
    answer = owner.http.get(found["inputs"][0]["link"].removeprefix("/admin/api"))
    assert answer.content == picture
    assert owner.refused("GET", f"/tasks/{again['id']}/inputs/1")[0] == 404


def test_an_unknown_outcome_is_settled(
    owner: Browser, gateway: GatewayProcess, upstream: FakeUpstream, farm: Any
) -> None:
    owner.must("PUT", "/prices/film", json={"document": {"per_call": "0.5"}})
    key = owner.post("/keys", status=201, json={"name": "unlucky", "budget": {"total": "10"}})

    def lost() -> str:
        upstream.fault("create", do="reset", accepts=True, prompt="lost for good")
        task = make(gateway, key["secret"], prompt="lost for good")
        found = owner.ended(task)
        assert found["error"]["code"] == "submission_unknown" and found["actions"]["settle"]
        owner.post(f"/accounts/{farm['id']}/clear")
        return task

    def spent() -> tuple[str, str]:
        found = owner.get(f"/keys/{key['id']}")["spent"]
        return found["total"], found["reserved"]

    try:
        first = lost()
        assert ids(owner, f"state=unknown&key={key['id']}") == [first]
        assert spent() == ("0", "0.5")
        settled = owner.post(f"/tasks/{first}/settle", json={"outcome": "spent"})
        assert settled["cost"] == "0.5" and not settled["actions"]["settle"] and spent() == ("0.5", "0")
        assert [entry["kind"] for entry in settled["ledger"]] == ["reserve", "settle"]
        assert owner.refused("POST", f"/tasks/{first}/settle", json={"outcome": "released"})[0] == 400
        second = lost()
        owner.post(f"/tasks/{second}/settle", json={"outcome": "released"})
        assert spent() == ("0.5", "0")
        third = lost()
        owner.post(f"/tasks/{third}/settle", json={"outcome": "spent", "amount": "0.2"})
        assert spent() == ("0.7", "0")
        assert owner.refused("POST", f"/tasks/{third}/settle", json={"outcome": "gone"}) == (400, "outcome")
    finally:
        owner.must("DELETE", "/prices/film", status=204)


def test_deleting_removes_the_files(owner: Browser, gateway: GatewayProcess, key: Any) -> None:
    task = make(gateway, key["secret"], prompt="to be deleted")
    link = owner.ended(task)["files"][0]["link"]
    owner.must("DELETE", f"/tasks/{task}", status=204)
    with httpx_of(owner) as http:
        assert http.get(link).status_code in (404, 410)
    until(lambda: not list((gateway.folder / "files").rglob(f"*{task}*/*")))
    found = owner.get(f"/tasks/{task}")
    assert found["deleted"] and found["files"] == [] and found["thumbnail"] is None
    assert owner.refused("DELETE", "/tasks/nobody")[0] == 404


def test_the_list_as_csv(owner: Browser, film: Any, failed: Any) -> None:
    answer = owner.ask("GET", "/tasks.csv?model=film")
    assert answer.headers["content-type"].startswith("text/csv") and answer.text.startswith("\ufeff")
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))}
    row = rows[film["id"]]
    assert row["prompt"] == "'=HYPERLINK(a boat)"  # no formula
    assert (row["state"], row["key"], row["account"]) == ("completed", "shop", "farm")
    assert row["created_at"].startswith(time.strftime("%Y-", time.gmtime(film["created_at"])))
    assert rows[failed["id"]]["error_code"] == failed["error"]["code"]
    only = owner.ask("GET", "/tasks.csv?state=failed&model=film").text
    assert failed["id"] in only and film["id"] not in only
    assert owner.refused("GET", "/tasks.csv?state=lost") == (400, "state")


def test_the_attempts_of_a_task_that_went_on_are_listed(
    owner: Browser, farm: Any, upstream: FakeUpstream, gateway: GatewayProcess, key: Any
) -> None:
    """Nobody else serves this name, so the same account is asked again."""
    retry = {"failed": 1, "moderated": 0, "retired": 0}
    body = {"candidates": [{"account": farm["name"], "model": "film-up"}], "retry": retry}
    assert owner.must("PUT", "/routes/again", json=body)["retry"] == retry
    upstream.script(final="failed", error={"code": "server_error", "message": f"no, {UPSTREAM_SECRET}"})
    try:
        found = owner.ended(make(gateway, key["secret"], model="again", prompt="twice"))
    finally:
        upstream.reset()
        owner.must("DELETE", "/routes/again", status=204)
    assert (found["state"], found["attempt"]) == ("failed", 2)
    told = [(each["number"], each["verdict"], each["account"]["name"]) for each in found["attempt_rows"]]
    assert told == [(1, "failed", "farm"), (2, "failed", "farm")]
    assert UPSTREAM_SECRET not in str(found["attempt_rows"])
    assert "attempt.ended" in [event["event"] for event in found["timeline"]]
