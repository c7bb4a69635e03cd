"""The playground creates what clients can create: with pictures, storyboards and characters, on two models at once."""

import json
from typing import Any

import pytest

from tests.admin.conftest import Browser
from tests.upstream.media import tiny_png


@pytest.fixture(scope="module")
def person(owner: Browser, film: Any) -> Any:
    """A character from a finished task."""
    return owner.post(
        "/characters", status=201, json={"name": "Rosa", "from_task": film["id"], "timestamps": "0,1"}
    )


def test_a_quote_creates_nothing(owner: Browser, farm: Any) -> None:
    before = owner.get("/tasks?key=panel")["data"]
    assert owner.post("/playground/quote", json={"model": "sora_video2", "prompt": "x"})["price"] == "0.15"
    free = owner.post(
        "/playground/quote", json={"model": "film", "prompt": "x", "seconds": 8, "size": "1280x720"}
    )
    assert free == {"price": None, "text": "film, 8 s, 1280x720"}
    assert owner.get("/tasks?key=panel")["data"] == before


def test_a_film_from_a_picture_and_a_storyboard(owner: Browser) -> None:
    shots = [{"seconds": 1, "prompt": "a boat leaves"}, {"seconds": 1, "prompt": "a boat comes back"}]
    parts = {"model": "studio", "prompt": "", "shots": json.dumps(shots), "seed": "7", "size": "320x180"}
    made = owner.post(
        "/playground", status=201, data=parts, files={"first_frame": ("boat.png", tiny_png(), "image/png")}
    )
    assert (made["dialect"], made["key"]["name"], made["kind"]) == ("panel", "panel", "video")
    found = owner.ended(made["id"])
    assert found["state"] == "completed", found["error"]
    assert [shot["prompt"] for shot in found["request"]["shots"]] == ["a boat leaves", "a boat comes back"]
    assert found["files"][0]["seconds"] == pytest.approx(2, abs=0.3)
    assert found["inputs"][0]["role"] == "first_frame" and found["thumbnail"]


def test_two_models_side_by_side(owner: Browser, farm: Any) -> None:
    made = [
        owner.post("/playground", status=201, json={"model": model, "prompt": "the same", "seconds": 1})
        for model in ("film", "studio")
    ]
    ended = [owner.ended(task["id"]) for task in made]
    assert [(task["state"], task["account"]["name"]) for task in ended] == [
        ("completed", "farm"),
        ("completed", "studio"),
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": ""}, "model"),
        ({"kind": "opera"}, "kind"),
        ({"seconds": 0}, "seconds"),
        ({"size": "huge"}, "size"),
        ({"shots": [{"prompt": "no length"}]}, "shots[0].seconds"),
        ({"shots": ["x"]}, "shots[0]"),
        ({"characters": ["@nobody"]}, "characters"),
        ({"remix_of": "x"}, "remix_of"),
        ({"remix_of": "0" * 32}, "remix_of"),
        ({"colour": "red"}, "colour"),
        ({"first_frame": "http://10.0.0.1/a.png"}, "first_frame"),
    ],
)
def test_invalid_requests_are_rejected(owner: Browser, farm: Any, body: dict[str, Any], param: str) -> None:
    assert owner.refused("POST", "/playground", json={"model": "film", "prompt": "x"} | body) == (400, param)


def test_a_character_is_listed_used_and_deleted(owner: Browser, person: Any) -> None:
    assert person["name"] == "Rosa" and person["owner"] == "key:panel"
    [card] = [row for row in owner.get("/characters?q=ros")["data"] if row["id"] == person["id"]]
    origin = str(owner.http.base_url).removesuffix("/admin/api/")
    still, clip = (owner.http.get(f"{origin}{card[name]}") for name in ("still", "clip"))
    assert still.headers["content-type"].startswith("image/") and clip.headers["content-type"] == "video/mp4"
    body = {
        "model": "studio",
        "prompt": f"@{person['username']} waves",
        "characters": [person["id"]],
        "seconds": 1,
    }
    assert owner.ended(owner.post("/playground", status=201, json=body)["id"])["state"] == "completed"
    owner.must("DELETE", f"/characters/{person['id']}", status=204)
    assert owner.refused("DELETE", f"/characters/{person['id']}")[0] == 404
    assert person["id"] not in str(owner.get("/characters"))


def test_characters_are_paged(owner: Browser, film: Any) -> None:
    made = [
        owner.post(
            "/characters",
            status=201,
            json={"name": f"n{number}", "from_task": film["id"], "owner": "key:pages"},
        )
        for number in range(3)
    ]
    first = owner.get("/characters?owner=key:pages&limit=2")
    rest = owner.get(f"/characters?owner=key:pages&limit=2&after={first['next']}")
    assert [row["id"] for row in first["data"] + rest["data"]] == [row["id"] for row in reversed(made)]
    assert rest["next"] is None
    assert owner.refused("GET", "/characters?after=x") == (400, "after")
    assert owner.refused("POST", "/characters", json={"name": "x"})[0] == 400
    assert owner.refused("POST", "/characters", json={"name": "x", "from_task": "0" * 32}) == (
        400,
        "from_task",
    )
