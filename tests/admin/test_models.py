"""Providers, models, routes, prices and explanations in the panel."""

from typing import Any

import pytest

from tests.admin.conftest import Browser, account
from tests.upstream import FakeUpstream


def test_every_provider_lists_its_fields(owner: Browser) -> None:
    found = {row["name"]: row for row in owner.get("/providers")["data"]}
    assert len(found) > 20 and "studio" not in found and list(found) == sorted(found)
    ours = found["openai_compatible"]
    assert ours["needs_base_url"] and ours["fields"][0] == {
        "name": "base_url",
        "required": True,
        "default": None,
        "hint": "",
    }
    for row in found.values():
        assert (
            row["makes"]
            and row["auth"]
            and {"base_url", "secret"} <= {field["name"] for field in row["fields"]}
        )
        assert row["needs_base_url"] == (row["default_base_url"] is None)


def test_models_have_capabilities_and_prices(owner: Browser, farm: Any) -> None:
    found = {row["name"]: row for row in owner.get("/models")["data"]}
    assert found["sora_video2"]["price"] == {"per_call": "0.15"} and found["sora_video2"]["preset"]
    film = found["film"]
    assert (film["kind"], film["candidates"], film["preset"], film["price"]) == ("video", 1, False, None)
    studio = found["studio"]["capabilities"]
    assert studio["seconds"]["min"] > 0 and studio["native_shots"] and "first_frame" in studio["inputs"]
    assert {row["kind"] for row in owner.get("/playground/models")["data"]} <= {"video", "image"}


def test_a_route_is_written_read_and_removed(owner: Browser, farm: Any) -> None:
    body = {
        "candidates": [{"account": "farm", "model": "film-up", "weight": 3}, {"account": "studio"}],
        "note": "two ways",
    }
    written = owner.must("PUT", "/routes/my/model", json=body)
    assert (written["model"], written["note"], written["enabled"], written["source"]) == (
        "my/model",
        "two ways",
        True,
        "store",
    )
    assert [each["account"] for each in written["candidates"]] == ["farm", "studio"]
    assert owner.get("/routes/my/model") == written and written in owner.get("/routes")["data"]
    found = owner.get("/explain?model=my/model&kind=video")
    assert found["route"] == "my/model" and "would be used" in found["verdict"]
    # It is written whole: what is not said takes its default.
    alias = owner.must("PUT", "/routes/my/model", json={"alias_of": "film"})
    assert (alias["alias_of"], alias["candidates"], alias["note"]) == ("film", [], "")
    assert owner.get("/explain?model=my/model&kind=video")["path"] == ["my/model", "film"]
    owner.must("DELETE", "/routes/my/model", status=204)
    assert (
        owner.refused("GET", "/routes/my/model")[0] == 404 == owner.refused("DELETE", "/routes/my/model")[0]
    )


@pytest.mark.parametrize(
    "body",
    [
        {"alias_of": "self"},
        {"alias_of": "film", "candidates": [{"account": "farm"}]},
        {"candidates": [{"account": ""}]},
        {"candidates": [{"account": "farm", "weight": -1}]},
        {"colour": "red"},
    ],
)
def test_invalid_routes_are_rejected(owner: Browser, farm: Any, body: dict[str, Any]) -> None:
    assert owner.refused("PUT", "/routes/self", json=body)[0] == 400
    assert owner.refused("GET", "/routes/self")[0] == 404


def test_why_an_account_is_not_chosen(owner: Browser, farm: Any, upstream: FakeUpstream) -> None:
    body = account("able", upstream, models={"why": "why-up"})
    owner.post("/accounts", status=201, json=body)
    resting = owner.post("/accounts", status=201, json=body | {"name": "resting", "enabled": False})
    found = owner.get("/explain?model=why&kind=video")
    by_name = {row["account"]: row for row in found["data"]}
    assert by_name["able"]["chosen"] and found["verdict"] == "able would be used."
    assert not by_name["resting"]["chosen"] and by_name["resting"]["verdict"] != "chosen"
    assert any("disabled" in str(value) for value in by_name["resting"].values())
    assert owner.get("/explain?model=nobody-has-this&kind=video")["verdict"]
    assert owner.refused("GET", "/explain?model=film&kind=opera") == (400, "kind")
    assert owner.refused("GET", "/explain")[0] == 400
    owner.must("DELETE", f"/accounts/{resting['id']}", status=204)


def test_prices_are_set_quoted_and_removed(owner: Browser, farm: Any) -> None:
    document = {"per_second": {"1280x720": "0.1", "1080p": "0.25"}}
    line = owner.must("PUT", "/prices/film", json={"document": document})
    assert line["document"] == document
    body = {"model": "film", "prompt": "x", "seconds": 4}
    assert owner.post("/playground/quote", json=body | {"size": "1280x720"})["price"] == "0.4"
    assert owner.post("/playground/quote", json=body | {"resolution": "1080p"})["price"] == "1"
    assert line["source"] == "store" and line in owner.get("/prices")["data"]
    owner.must("DELETE", "/prices/film", status=204)
    assert owner.refused("DELETE", "/prices/film")[0] == 404
    defaults = {row["model"]: row["document"] for row in owner.get("/prices")["data"]}
    assert defaults["sora_video2*"] == {"per_call": "0.15"}


def test_a_price_in_units_that_never_count_is_refused_and_an_older_one_is_shown(
    owner: Browser, farm: Any
) -> None:
    for model, part in (("film", "per_image"), ("veo*", "per_image"), ("gpt-image", "per_second")):
        refused = owner.refused("PUT", f"/prices/{model}", json={"document": {part: "1"}})
        assert refused == (400, part), model
    # Nobody knows yet what this name makes.
    assert owner.must("PUT", "/prices/later", json={"document": {"per_image": "1"}})["uncounted"] == []
    changed = {"models": {"film": "film-up", "later": "later-up"}}
    owner.must("PATCH", f"/accounts/{farm['id']}", json=changed)
    [line] = [row for row in owner.get("/prices")["data"] if row["model"] == "later"]
    assert line["uncounted"] == ["per_image"]
    owner.must("DELETE", "/prices/later", status=204)
    owner.must("PATCH", f"/accounts/{farm['id']}", json={"models": {"film": "film-up"}})


@pytest.mark.parametrize(
    "document", [{"per_call": "-1"}, {"per_call": "much"}, {"per_moon": "1"}, {"per_call": "NaN"}]
)
def test_invalid_prices_are_rejected(owner: Browser, document: dict[str, str]) -> None:
    assert owner.refused("PUT", "/prices/film", json={"document": document})[0] == 400


def test_the_playground_lists_the_operators_own_models(owner: Browser, upstream: FakeUpstream) -> None:
    names = {"wan-sgl": "wan-sgl", "qwen3-own": "qwen3-max", "odd-own": "odd"}
    owner.post("/accounts", status=201, json=account("own", upstream, models=names, kinds=[]))
    rows = {row["name"]: row for row in owner.get("/playground/models")["data"]}
    assert (rows["wan-sgl"]["kind"], rows["wan-sgl"]["usable"]) == ("video", 1)
    assert rows["odd-own"]["kind"] == "video"
    assert "qwen3-own" not in rows
    assert owner.get("/explain?model=wan-sgl")["kind"] == "video"
