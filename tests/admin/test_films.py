"""Films in the panel: the sheet, counts, archives, and tasks that are made again on one account or by another model."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.admin.conftest import UPSTREAM_SECRET, Browser, account, make
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream


@pytest.fixture(scope="module")
def second(owner: Browser, upstream: FakeUpstream) -> Any:
    """Another account that makes `film`, with a secret of its own."""
    shape = account("second", upstream, secret=f"{UPSTREAM_SECRET}-second", tier=5)
    return owner.post("/accounts", status=201, json=shape)


@pytest.fixture
def calm(upstream: FakeUpstream, owner: Browser, second: Any, farm: Any) -> Iterator[None]:
    """Afterwards the upstream works and no account cools down."""
    yield
    upstream.reset()
    for each in (farm, second):
        owner.post(f"/accounts/{each['id']}/enable")


def of_prompt(owner: Browser, text: str, **filters: Any) -> list[str]:
    return [row["prompt"] for row in owner.get("/tasks", params={"q": text, **filters})["data"]]


def test_the_sheet_shows_films_that_exist_or_say_why_not(
    owner: Browser, film: Any, upstream: FakeUpstream, gateway: GatewayProcess, key: Any, calm: None
) -> None:
    upstream.fault("create", status=400, body={"error": {"message": "no"}}, prompt="sheet refused")
    made = {
        name: make(gateway, key["secret"], prompt=f"sheet {name}") for name in ("kept", "gone", "refused")
    }
    for task in made.values():
        owner.ended(task)
    owner.must("DELETE", f"/tasks/{made['gone']}", status=204)
    assert of_prompt(owner, "sheet", films=True) == ["sheet refused", "sheet kept"]
    assert of_prompt(owner, "sheet") == ["sheet refused", "sheet gone", "sheet kept"]
    [kept] = owner.get("/tasks", params={"q": "sheet kept", "films": True})["data"]
    base = str(owner.http.base_url).removesuffix("/admin/api/")
    assert owner.http.get(f"{base}{kept['link']}").headers["content-type"] == "video/mp4"
    some = f"{made['kept']},{made['refused']}"
    rows = owner.ask("GET", "/tasks.csv", params={"ids": some}).text.splitlines()
    assert len(rows) == 3 and made["refused"] in rows[1]


def test_tasks_are_counted(owner: Browser, film: Any) -> None:
    assert owner.get("/tasks/count", params={"ids": film["id"]}) == {"count": 1, "exact": True}
    assert owner.get("/tasks/count", params={"q": "HYPERLINK"}) == {"count": 1, "exact": True}
    everything = owner.get("/tasks/count")
    assert everything["exact"] and everything["count"] >= 1
    assert owner.refused("GET", "/tasks/count?ids=x") == (400, "ids")


def test_several_films_come_as_one_archive(
    owner: Browser, viewer: Browser, film: Any, gateway: GatewayProcess, key: Any, calm: None
) -> None:
    private = owner.ended(make(gateway, key["secret"], prompt="for nobody", private="true"))
    both = {"ids": f"{film['id']},{private['id']}"}
    answer = owner.ask("GET", "/tasks.zip", params=both)
    assert answer.headers["content-disposition"] == 'attachment; filename="films.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    assert sorted(name[-12:] for name in sizes) == sorted(f"{one['id'][-8:]}.mp4" for one in (film, private))
    assert set(sizes.values()) == {film["files"][0]["bytes"], private["files"][0]["bytes"]}
    with zipfile.ZipFile(io.BytesIO(viewer.ask("GET", "/tasks.zip", params=both).content)) as seen:
        assert len(seen.namelist()) == 1
    assert owner.refused("GET", "/tasks.zip?ids=") == (404, None)


def test_a_task_is_made_again_on_the_account_that_was_chosen(
    owner: Browser, film: Any, farm: Any, second: Any
) -> None:
    """The other one would have been chosen: its tier comes first."""
    again = owner.post(f"/tasks/{film['id']}/retry", status=201, json={"account": second["id"]})
    assert owner.ended(again["id"])["account"]["name"] == "second"
    assert again["key"]["name"] == "shop"
    code = owner.ask("POST", f"/tasks/{film['id']}/retry", json={"account": "nobody"}).json()["error"]["code"]
    assert code == "no_available_account"


def test_no_other_account_makes_what_one_was_chosen_for(
    owner: Browser, film: Any, second: Any, upstream: FakeUpstream, calm: None
) -> None:
    """It waits while its account rests, says so, and fails when that refuses it for good."""
    upstream.fault(
        "create", status=429, headers={"Retry-After": "300"}, key=f"{UPSTREAM_SECRET}-second", times=None
    )
    waits = owner.post(f"/tasks/{film['id']}/takes", status=201, json={"account": second["id"]})["id"]
    until(lambda: owner.get(f"/tasks/{waits}")["attempts"] > 0)
    free = owner.post(f"/tasks/{film['id']}/takes", status=201, json={})["id"]
    assert owner.ended(free)["account"]["name"] == "farm"
    left = owner.get(f"/tasks/{waits}")
    assert left["state"] == "queued" and left["account"] is None
    assert set(left["wait"]) == {"cooling"}
    upstream.reset()
    upstream.fault("create", status=401, key=f"{UPSTREAM_SECRET}-second", times=None)
    owner.post(f"/accounts/{second['id']}/clear")
    ended = owner.ended(waits)
    assert (ended["state"], ended["error"]["code"]) == ("failed", "no_available_account")


def test_takes_belong_to_the_panel_and_cost_what_was_said(owner: Browser, film: Any, farm: Any) -> None:
    owner.must("PUT", "/prices/film", json={"document": {"per_second": "0.25"}})
    quote = owner.post(f"/tasks/{film['id']}/takes/quote", json={"models": ["film", "studio"]})
    assert [(each["model"], each["price"]) for each in quote["data"]] == [("film", "1"), ("studio", None)]
    total = owner.get("/tasks/retry-price", params={"ids": film["id"]})
    assert total == {"price": "1", "unpriced": 0}
    take = owner.post(f"/tasks/{film['id']}/takes", status=201, json={"model": "film", "account": farm["id"]})
    ended = owner.ended(take["id"])
    assert (ended["cost"], ended["key"]["name"], ended["prompt"]) == ("1", "panel", film["prompt"])
    owner.must("DELETE", "/prices/film", status=204)


def test_the_playground_makes_it_on_one_account(owner: Browser, farm: Any, second: Any) -> None:
    body = {"model": "film", "prompt": "x", "account": second["id"]}
    made = owner.post("/playground", status=201, json=body)
    assert owner.ended(made["id"])["account"]["name"] == "second"


def test_drafts_are_kept_for_all_owners(owner: Browser, viewer: Browser) -> None:
    inputs = {"prompt": "一只猫", "shots": [{"seconds": 4, "prompt": "it sleeps"}]}
    made = owner.post("/drafts", status=201, json={"name": "cat", "inputs": inputs})
    assert (made["name"], made["author"], made["inputs"]) == ("cat", "admin", inputs)
    renamed = owner.must("PATCH", f"/drafts/{made['id']}", json={"name": "the cat"})
    assert (renamed["name"], renamed["inputs"]) == ("the cat", inputs)
    owner.must("PATCH", f"/drafts/{made['id']}", json={"inputs": {"prompt": "a dog"}})
    assert owner.get(f"/drafts/{made['id']}")["inputs"] == {"prompt": "a dog"}
    assert "the cat" in [each["name"] for each in owner.get("/drafts")["data"]]
    for path in ("/drafts", f"/drafts/{made['id']}"):
        assert viewer.refused("GET", path)[0] == 403
    owner.must("DELETE", f"/drafts/{made['id']}", status=204)
    assert owner.refused("GET", f"/drafts/{made['id']}")[0] == 404
    large = {"name": "large", "inputs": {"pictures": ["x" * 12_000_001]}}
    assert owner.refused("POST", "/drafts", json=large)[0] == 413
