"""Every described route × {no key, a wrong key, somebody else's key}; and the panel's without its owner."""

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.admin.app import create_panel_app
from app.main import create_app
from app.settings import Settings
from tests.security.conftest import Guarded

BODY = {"prompt": "[studio:reject] theft", "seconds": 1, "event_type": "video.completed"}
OPEN = {
    ("GET", "/session"),
    ("POST", "/session"),
    ("POST", "/setup"),
    ("GET", "/oidc/start"),
    ("GET", "/oidc/callback"),
}
"""What the panel asks before anybody is signed in."""


def routes(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


PUBLIC = ("GET", "/.well-known/filmgate-keys.json")
"""Whoever checks a receipt has no key of ours."""
ROUTES = [
    route
    for route in routes(create_app(Settings(data_dir=Path("unused"))).client_api().openapi())
    if not route[1].startswith("/files/") and route != PUBLIC
]
OF_SOMETHING = [(method, path) for method, path in ROUTES if re.search(r"\{(name|\w+_id)\}", path)]
PANEL = [route for route in routes(create_panel_app().openapi()) if route not in OPEN]


def filled(guarded: Guarded, path: str) -> str:
    foreign = guarded.foreign.removeprefix("video_")
    ids = {
        "name": foreign,
        "character_id": guarded.character,
        "file_id": guarded.file,
        "batch_id": guarded.batch,
    }
    return path.replace("{scope}", "videos").format(**ids)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_key_is_needed(guarded: Guarded, method: str, path: str) -> None:
    with httpx2.Client(base_url=guarded.gateway.url, timeout=30) as http:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}):
            answer = http.request(method, filled(guarded, path), headers=headers, json=BODY)
            assert answer.status_code == 401
            assert answer.json()["error"]["message"] == "Invalid API key"


def ways_to_send(key: str) -> list[dict[str, str]]:
    return [
        {"authorization": f"Bearer {key}"},
        {"authorization": f"bearer  {key}"},
        {"authorization": key},
        {"x-api-key": key},
        {"authorization": "", "x-api-key": key},
        {"authorization": "Bearer", "x-api-key": key},
        {"authorization": f"Bearer {key}", "x-api-key": "another"},
        {"authorization": "Basic abc", "x-api-key": key},
    ]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_finds_the_key_in_the_same_headers(guarded: Guarded, method: str, path: str) -> None:
    """A disabled key answers 403 wherever it is found, and 401 where it is not."""
    key = guarded.disabled
    with httpx2.Client(base_url=guarded.gateway.url, timeout=30) as http:
        for headers in ways_to_send(key):
            answer = http.request(method, filled(guarded, path), headers=headers, json=BODY)
            assert answer.status_code == 403, headers
        for headers in ({"authorization": f"Basic {key}"}, {"x-goog-api-key": key}):
            answer = http.request(method, filled(guarded, path), headers=headers, json=BODY)
            assert answer.status_code == 401, headers


@pytest.mark.parametrize(("method", "path"), OF_SOMETHING)
def test_somebody_elses_is_not_there(guarded: Guarded, method: str, path: str) -> None:
    with guarded.gateway.client() as http:
        answer = http.request(method, filled(guarded, path), json=BODY if method == "POST" else None)
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize(("method", "path"), PANEL)
def test_the_panel_is_its_owners(guarded: Guarded, method: str, path: str) -> None:
    with guarded.gateway.client() as http:  # with a client's key, which opens nothing here
        answers = [
            http.request(method, f"/admin/api{path}", json={}, headers=headers)
            for headers in (
                {"authorization": ""},
                {},
                {"cookie": "filmgate_session=wrong", "authorization": ""},
            )
        ]
    assert {answer.status_code for answer in answers} <= {401, 429}
