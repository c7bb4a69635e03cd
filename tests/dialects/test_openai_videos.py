"""OpenAI's Videos API keeps the contract of dialects."""

from typing import Any

import pytest

from app.dialects.openai_videos.answer import OpenAIVideosDialect
from tests.dialects.conftest import FilmGateway
from tests.dialects.contract import SMALL, Document, TaskDialectContract
from tests.dialects.film_words import ALL_FORMS, ONE_SOURCE, PROMPT, FilmRoute, Used, data_uri
from tests.serving import until

PLAIN = {"model": "studio", "prompt": PROMPT}
CHANGE = {"prompt": PROMPT, "video": {"id": "$own"}}
CHANGED = ONE_SOURCE | {"video": Used(role="source_video")}  # in place of the other one


class TestOpenAIVideos(TaskDialectContract):
    dialect = OpenAIVideosDialect()
    create_path = "/v1/videos"
    read_path = "/v1/videos/{}"
    task_schema = "Video"
    bad_call = ("POST", create_path, {})
    film_routes = (
        FilmRoute(create_path, PLAIN, forms=ALL_FORMS),
        FilmRoute("/v1/videos/$own/remix", {"prompt": PROMPT}, ONE_SOURCE, fixed_model=True),
        FilmRoute("/v1/videos/edits", CHANGE, CHANGED, fixed_model=True),
        FilmRoute("/v1/videos/extensions", CHANGE | {"seconds": 3}, CHANGED, fixed_model=True),
    )

    def create_body(self, prompt: str) -> Document:
        return {"model": "studio", "prompt": prompt, **SMALL}


def shown(video: dict[str, Any]) -> tuple[str, str]:
    return video["seconds"], video["size"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("4", "720x1280")),
        ({"aspect_ratio": "16:9"}, ("4", "1280x720")),
        ({"aspect_ratio": "1:1", "resolution": "1080p", "seconds": 7}, ("7", "1080x1080")),
        ({"resolution": "480p"}, ("4", "480x854")),
    ],
    ids=str,
)
def test_a_video_says_its_length_and_size_before_anything_is_measured(
    films: FilmGateway, fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    made = films.http.post("/v1/videos", json=PLAIN | fields).json()
    assert shown(made) == expected
    failed = until(
        lambda: (seen := films.http.get(f"/v1/videos/{made['id']}").json())["status"] == "failed" and seen
    )
    assert shown(failed) == expected


def test_a_changed_video_says_what_its_source_measures(films: FilmGateway) -> None:
    """The source was asked for without a length or a size; the uploaded clip lasts half a second."""
    body = PLAIN | {"prompt": "[studio:fast] a boat"}
    source = films.http.post("/v1/videos", json=body).json()["id"]
    measured = until(
        lambda: (seen := films.http.get(f"/v1/videos/{source}").json())["status"] == "completed" and seen
    )
    assert int(measured["seconds"]) > 0
    for path, video in (
        (f"/v1/videos/{source}/remix", None),
        ("/v1/videos/edits", {"id": source}),
        ("/v1/videos/edits", measured["url"]),
    ):
        made = films.http.post(path, json={"prompt": PROMPT} | ({"video": video} if video else {})).json()
        assert shown(made) == shown(measured), path
    uploaded = films.http.post("/v1/videos/edits", json={"prompt": PROMPT, "video": data_uri("video")}).json()
    assert shown(uploaded) == ("0.5", "64x64")


def test_a_quote_makes_nothing_and_shows_no_account(films: FilmGateway) -> None:
    before = video_ids(films)
    told = films.http.post("/v1/videos/quote", json=PLAIN | {"seconds": "5", "size": "320x180"})
    assert (told.status_code, told.json()) == (
        200,
        {
            "object": "video.quote", "model": "studio", "upstream": "studio", "price": "0.00", "reserved": "0.00",
            "currency": "USD", "expected_seconds": told.json()["expected_seconds"], "seconds": "5", "size": "320x180",
        },
    )  # fmt: skip
    assert video_ids(films) == before


def video_ids(films: FilmGateway) -> list[str]:
    return [video["id"] for video in films.http.get("/v1/videos").json()["data"]]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"max_cost": "much"}, "max_cost"),
        ({"max_cost": -1}, "max_cost"),
        ({"n": 2}, "n"),
    ],
    ids=str,
)
def test_what_is_refused_to_a_creation_is_refused_to_its_quote(
    films: FilmGateway, fields: dict[str, Any], param: str
) -> None:
    for path in ("/v1/videos", "/v1/videos/quote"):
        told = films.http.post(path, json=PLAIN | fields)
        assert (told.status_code, told.json()["error"]["param"]) == (400, param)
