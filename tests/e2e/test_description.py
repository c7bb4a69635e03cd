"""`/openapi.json` and `/docs` tell of every route, with its body, its answer and its errors."""

import json
import re
from typing import Any

import httpx2
import pytest

from app.dialects.openapi.schemas import BOAT, CLIP, OWN_FILE, OWN_VIDEO, PICTURE, TEXT_MODEL
from tests.e2e.conftest import Setting
from tests.serving import until


@pytest.fixture(scope="module")
def described(keyless: httpx2.Client) -> dict[str, Any]:
    document: dict[str, Any] = keyless.get("/openapi.json").json()
    return document


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


def test_every_route_is_there(described: dict[str, Any]) -> None:
    told = {(method, path) for method, path, _ in operations(described)}
    assert {
        ("post", "/v1/videos"),
        ("get", "/v1/videos/{name}/content"),
        ("post", "/v1/chat/completions"),
        ("post", "/v1/embeddings"),
        ("post", "/v1/images/edits"),
        ("post", "/v1/audio/transcriptions"),
        ("post", "/v1/messages"),
        ("get", "/v1/usage"),
        ("get", "/v1/tasks/{name}"),
        ("post", "/v2/{scope}/generations"),
        ("post", "/v1/videos/storyboard"),
        ("post", "/sora/v1/characters"),
        ("post", "/api/v1/videos"),
        ("get", "/api/v1/videos/models"),
        ("post", "/v1/video/generations"),
        ("get", "/api/v3/contents/generations/tasks"),
        ("delete", "/api/v3/contents/generations/tasks/{name}"),
        ("delete", "/v1/characters/{name}"),
        ("get", "/v1/models/{name}"),
        ("get", "/files/{task_id}/{name}"),
    } <= told


def test_every_route_says_what_it_takes_and_answers(described: dict[str, Any]) -> None:
    for method, path, told in operations(described):
        assert told["summary"], path
        assert ("requestBody" in told) == (method == "post" and not path.endswith("cancel")), path
        success = "202" if (method, path) == ("post", "/api/v1/videos") else "200"
        assert {success, "400", "401", "404", "503"} <= set(told["responses"])
        assert ("409" in told["responses"]) == (method == "post" or path.endswith("receipt"))
        assert bool(told.get("security")) == path.startswith(("/v1/", "/v2/", "/sora/", "/api/"))


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(described)))
    assert used == set(schemas)
    assert "HTTPValidationError" not in schemas


def test_answers_keep_to_their_schemas(described: dict[str, Any], http: httpx2.Client) -> None:
    schemas = described["components"]["schemas"]
    body = {"prompt": "[studio:fast] described", "seconds": 1, "size": "64x64"}
    video = http.post("/v1/videos", json=body).json()
    for name, answer in (
        ("Video", video),
        ("VideoList", http.get("/v1/videos").json()),
        ("Task", http.get(f"/v1/tasks/{video['id']}").json()),
        ("TaskList", http.get("/v1/tasks").json()),
        ("UnifiedTask", http.get(f"/v2/videos/generations/{video['id']}").json()),
        ("ChatCompletion", http.post("/v1/images/generate", json={"prompt": "a cat"}).json()),
        ("CameoList", http.get("/v1/characters").json()),
        ("Model", http.get("/v1/models/sora-2").json()),
        ("ModelList", http.get("/v1/models").json()),
        ("OpenRouterVideo", http.get(f"/api/v1/videos/{video['id']}").json()),
        ("OpenRouterModels", http.get("/api/v1/videos/models").json()),
        ("ArkTask", http.get(f"/api/v3/contents/generations/tasks/{video['id']}").json()),
        ("ArkTasks", http.get("/api/v3/contents/generations/tasks").json()),
        ("Error", http.get("/v1/nothing").json()),
        ("Images", http.post("/v1/images/generations", json={"prompt": "a cat"}).json()),
        ("OpenRouterError", http.get("/api/v1/nothing").json()),
        ("AnthropicError", http.post("/v1/messages", json={}).json()),
    ):
        assert set(answer) <= set(schemas[name]["properties"]), name
        assert set(schemas[name]["required"]) <= set(answer), name


def test_docs(keyless: httpx2.Client) -> None:
    page = keyless.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "openapi.json" in page.text


def test_every_group_is_told_of(described: dict[str, Any]) -> None:
    groups = [group["name"] for group in described["tags"]]
    used = {tag for _, _, told in operations(described) for tag in told["tags"]}
    assert set(groups) == used
    assert all(group["description"] for group in described["tags"])


def test_every_example_works(described: dict[str, Any], http: httpx2.Client, setting: Setting) -> None:
    """As it stands, but for the video of the reader's own, the picture, the text model, and a word to end it soon."""
    body = {"prompt": "[studio:fast] mine", "seconds": 3, "size": "64x64"}
    own = http.post("/v1/videos", json=body).json()["id"]
    until(lambda: http.get(f"/v1/videos/{own}").json()["status"] == "completed")
    files = f"{setting.upstream.url}/files"
    line = {"custom_id": "a", "method": "POST", "url": "/v1/videos", "body": {"prompt": "[studio:reject] a"}}
    lines = http.post(
        "/v1/files", files={"file": json.dumps(line).encode()}, data={"purpose": "batch"}
    ).json()
    words = {
        OWN_VIDEO: own,
        OWN_FILE: lines["id"],
        PICTURE: f"{files}/image.png",
        CLIP: f"{files}/video.mp4",
        TEXT_MODEL: "house-words",
    }
    for method, path, told in operations(described):
        kinds = told.get("requestBody", {}).get("content", {})
        example = kinds.get("application/json", {}).get("example")
        if example is None or path.startswith("/v1/webhook_endpoints/") or path == "/v1/key/rotate":
            continue  # the last would end the key of all other tests
        word = "fast" if told["tags"] == ["Images"] else "reject"
        text = json.dumps(example).replace(BOAT, f"{BOAT} [studio:{word}]")
        if path.endswith("count_tokens"):
            text = text.replace(TEXT_MODEL, "house-claude")
        for old, new in words.items():
            text = text.replace(old, new)
        path = path.replace("{name}", own).replace("{scope}", "videos")
        answer = http.request(method, path, content=text, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 202), (path, answer.text)


def test_every_body_has_an_example(described: dict[str, Any]) -> None:
    bare = [
        path
        for _, path, told in operations(described)
        if "requestBody" in told and "example" not in told["requestBody"]["content"]["application/json"]
    ]
    # Of these, the clip, the lines or the sound are a file.
    files = ["/v1/videos/characters", "/v1/files"]
    assert bare == [*files, "/v1/audio/transcriptions", "/v1/audio/translations"]
