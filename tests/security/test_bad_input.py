"""Whatever is sent: the right status, the one envelope with the field's name, and nothing of our inside."""

import base64
import json
import re
from typing import Any

import httpx2
import pytest

from tests.security.conftest import Guarded
from tests.security.refusals import refusal

ID = "video_" + "0" * 32
VIDEO = {"prompt": "[studio:fast] a pond", "seconds": 1, "size": "64x64"}
CHAT = {"model": "sora_video2", "messages": [{"role": "user", "content": "a pond"}]}
ROUTES = [
    ("POST", "/v1/videos"),
    ("GET", "/v1/videos"),
    ("GET", f"/v1/videos/{ID}"),
    ("DELETE", f"/v1/videos/{ID}"),
    ("GET", f"/v1/videos/{ID}/content"),
    ("POST", f"/v1/videos/{ID}/remix"),
    ("POST", "/v1/videos/edits"),
    ("POST", "/v1/videos/extensions"),
    ("POST", "/v1/videos/characters"),
    ("GET", "/v1/videos/characters/char_0"),
    ("GET", "/v1/tasks"),
    ("GET", f"/v1/tasks/{ID}"),
    ("POST", f"/v1/tasks/{ID}/cancel"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/sora-2"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/moderations"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/rerank"),
]
BODIES = [(method, path) for method, path in ROUTES if method == "POST" and not path.endswith("cancel")]
TASK_BODIES = [(method, path) for method, path in BODIES if "/videos" in path and ID not in path]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_keys(guarded: Guarded, method: str, path: str) -> None:
    with httpx2.Client(base_url=guarded.gateway.url, timeout=30) as http:
        for headers in (
            {},
            {"authorization": ""},
            {"authorization": "Bearer"},
            {"authorization": "Bearer wrong"},
            {"authorization": "Basic c2s6eA=="},
            {"authorization": "sk-fg-" + "x" * 6000},
            {"authorization": "Bearer ключ".encode()},
            {"x-api-key": "wrong"},
        ):
            answer = http.request(method, path, headers=headers, json=VIDEO if method == "POST" else None)
            assert answer.status_code == 401, headers
            assert refusal(answer) == {
                "message": "Invalid API key",
                "type": "authentication_error",
                "param": None,
                "code": "invalid_api_key",
            }
        answer = http.request(method, path, headers={"authorization": f"Bearer {guarded.disabled}"})
        assert (answer.status_code, refusal(answer)["type"]) == (403, "permission_error")


@pytest.mark.parametrize(
    "header", [("authorization", "Bearer {}"), ("authorization", "{}"), ("x-api-key", "{}")]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("POST", "/v1/embeddings")])
def test_every_form_of_a_key(guarded: Guarded, header: tuple[str, str], method: str, path: str) -> None:
    key = guarded.gateway.environment["FILMGATE_API_KEY"]
    with httpx2.Client(base_url=guarded.gateway.url) as http:
        answer = http.request(method, path, headers={header[0]: header[1].format(key)})
        assert answer.status_code not in (401, 403)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/videos", {}, "prompt"),
        ("/v1/videos", {"prompt": ""}, "prompt"),
        ("/v1/videos", {"prompt": " \n"}, "prompt"),
        ("/v1/videos", {"prompt": None}, "prompt"),
        ("/v1/videos", {"prompt": 5}, "prompt"),
        ("/v1/videos", {"prompt": ["a"]}, "prompt"),
        ("/v1/videos", {"prompt": "x" * 32_001}, "prompt"),
        ("/v1/videos", VIDEO | {"model": 5}, "model"),
        ("/v1/videos", VIDEO | {"model": ["sora-2"]}, "model"),
        ("/v1/videos", VIDEO | {"model": "gpt-image"}, "model"),
        ("/v1/videos", VIDEO | {"seconds": 0}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": -1}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": "abc"}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": "1e9"}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": 1e9}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": 10**30}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": "NaN"}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": "Infinity"}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": "٣"}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": True}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": {"a": 1}}, "seconds"),
        ("/v1/videos", VIDEO | {"seconds": 61}, "seconds"),
        ("/v1/videos", VIDEO | {"size": "big"}, "size"),
        ("/v1/videos", VIDEO | {"size": "0x0"}, "size"),
        ("/v1/videos", VIDEO | {"size": "00x00"}, "size"),
        ("/v1/videos", VIDEO | {"size": "99999x99999"}, "size"),
        ("/v1/videos", VIDEO | {"size": "-720x1280"}, "size"),
        ("/v1/videos", VIDEO | {"size": 720}, "size"),
        ("/v1/videos", VIDEO | {"seed": "x"}, "seed"),
        ("/v1/videos", VIDEO | {"seed": 1.5}, "seed"),
        ("/v1/videos", VIDEO | {"seed": 2**63}, "seed"),
        ("/v1/videos", VIDEO | {"watermark": "perhaps"}, "watermark"),
        ("/v1/videos", VIDEO | {"input_reference": 5}, "input_reference"),
        ("/v1/videos", VIDEO | {"input_reference": {}}, "input_reference"),
        ("/v1/videos", VIDEO | {"input_reference": {"file_id": "f"}}, "input_reference"),
        ("/v1/videos", VIDEO | {"input_reference": {"image_url": 5}}, "input_reference"),
        ("/v1/videos", VIDEO | {"input_reference": "not base64!"}, "input_reference"),
        ("/v1/videos", VIDEO | {"input_reference": "data:image/png,abc"}, "input_reference"),
        ("/v1/videos", VIDEO | {"input_reference": "file:///etc/passwd"}, "input_reference"),
        ("/v1/videos", VIDEO | {"input_reference": "ftp://example.com/a.png"}, "input_reference"),
        ("/v1/videos", VIDEO | {"characters": 5}, "characters"),
        ("/v1/videos", VIDEO | {"characters": [{}]}, "characters"),
        ("/v1/videos/edits", {}, "prompt"),
        ("/v1/videos/edits", {"prompt": "x"}, "video"),
        ("/v1/videos/edits", {"prompt": "x", "video": {}}, "video"),
        ("/v1/videos/edits", {"prompt": "x", "video": "aGVsbG8="}, "video"),
        ("/v1/videos/edits", {"prompt": "x", "video": {"id": 5}}, "video.id"),
        ("/v1/videos/extensions", {"prompt": "x"}, "seconds"),
        ("/v1/videos/extensions", {"prompt": "x", "seconds": 0}, "seconds"),
        ("/v1/videos/extensions", {"prompt": "x", "seconds": 1}, "video"),
        ("/v1/videos/characters", {}, "name"),
        ("/v1/videos/characters", {"name": "x" * 81}, "name"),
        ("/v1/videos/characters", {"name": "x"}, "video"),
        ("/v1/videos/characters", {"name": "x", "video": "aGVsbG8="}, "video"),
        ("/v1/chat/completions", {}, "model"),
        ("/v1/chat/completions", {"model": ""}, "model"),
        ("/v1/chat/completions", {"model": 5}, "model"),
        ("/v1/chat/completions", {"model": "sora_video2"}, "messages"),
        ("/v1/chat/completions", CHAT | {"messages": []}, "messages"),
        ("/v1/chat/completions", CHAT | {"messages": [{"content": "x" * 32_001}]}, "messages"),
        ("/v1/chat/completions", CHAT | {"messages": "hello"}, "messages"),
        ("/v1/chat/completions", CHAT | {"messages": [5]}, "messages"),
        ("/v1/chat/completions", CHAT | {"messages": [{"role": "user"}]}, "messages"),
        ("/v1/chat/completions", CHAT | {"messages": [{"role": "user", "content": ""}]}, "messages"),
        (
            "/v1/chat/completions",
            CHAT | {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages",
        ),
        (
            "/v1/chat/completions",
            CHAT | {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages",
        ),
        ("/v1/chat/completions", CHAT | {"stream": "perhaps"}, "stream"),
        ("/v1/chat/completions", CHAT | {"stream_options": 5}, "stream_options"),
        ("/v1/chat/completions", CHAT | {"seconds": 0}, "seconds"),
        ("/v1/chat/completions", CHAT | {"size": "0x0"}, "size"),
        ("/v1/chat/completions", CHAT | {"style": "cubist"}, "style"),
        ("/v1/embeddings", {}, "model"),
        ("/v1/responses", {"model": ["a"]}, "model"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_fields(http: httpx2.Client, path: str, body: dict[str, Any], param: str) -> None:
    answer = http.post(path, json=body)
    error = refusal(answer)
    assert (answer.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error")
    if param in ("prompt", "model", "video", "messages") and param not in body:
        assert error["message"] == f"{param} is required"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "x"}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "9" * 50}, "limit"),
        ({"order": "sideways"}, "order"),
        ({"after": "x"}, "after"),
        ({"after": "video_' OR 1=1 --"}, "after"),
    ],
)
def test_queries(http: httpx2.Client, query: dict[str, Any], param: str) -> None:
    answer = http.get("/v1/videos", params=query)
    assert (answer.status_code, refusal(answer)["param"]) == (400, param)


@pytest.mark.parametrize("name", ["no-such-model", "sora-2\nx", "<script>", "模型", "a" * 5000])
def test_unknown_models(http: httpx2.Client, name: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/v1/videos": VIDEO | {"model": name},
        "/v1/chat/completions": CHAT | {"model": name},
        "/v1/embeddings": {"model": name, "input": "x"},
        "/v1/responses": {"model": name, "input": "x"},
    }
    for path, body in bodies.items():
        answer = http.post(path, json=body)
        assert answer.status_code == 400, path
        error = refusal(answer)
        assert error["message"] == f"Invalid model: {name}"
        assert (error["param"], error["code"]) == ("model", "model_not_found")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"prompt": "x"',
        b"[]",
        b'"text"',
        b"5",
        b"null",
        b"\xff\xfe{}",
        b'{"prompt": "\xff"}',
        b'{"prompt": NaN, "model": NaN}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"prompt": ' + b"9" * 5_000 + b"}",
    ],
    ids=lambda value: repr(value[:24]),
)
@pytest.mark.parametrize(("method", "path"), BODIES)
def test_broken_json(http: httpx2.Client, guarded: Guarded, method: str, path: str, content: bytes) -> None:
    """Also where the body is relayed: it never gets that far."""
    path = path.replace(ID, guarded.own)
    answer = http.request(method, path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    refusal(answer)


@pytest.mark.parametrize(
    "body",
    [
        VIDEO | {"prompt": "nul \0 byte"},
        VIDEO | {"prompt": "half \ud800 pair"},
        VIDEO | {"half \ud800 pair": 1},
        VIDEO | {"model": "\0"},
        VIDEO | {"extra": {"deep": "\0"}},
        VIDEO | {f"field{n}": n for n in range(1_001)},
        VIDEO | {"many": list(range(20_001))},
    ],
    ids=["nul", "surrogate", "surrogate name", "nul model", "nul deep", "fields", "values"],
)
def test_poisoned_json(http: httpx2.Client, body: dict[str, Any]) -> None:
    for path in ("/v1/videos", "/v1/videos/edits"):
        answer = http.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
        assert answer.status_code == 400
        refusal(answer)
    chat = json.dumps(CHAT | {"extra": body})
    answer = http.post("/v1/chat/completions", content=chat, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    refusal(answer)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no boundary at all"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx'),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\xfe\r\n--b--\r\n',
        ),
        ("multipart/form-data; boundary=" + "b" * 5000, b"--b--"),
        ("application/x-www-form-urlencoded", b"prompt[a]=1&prompt=2"),
        ("application/x-www-form-urlencoded", b"a=1&" * 2000),
        ("application/x-www-form-urlencoded", b"a" + b"[b]" * 100 + b"=1"),
    ],
    ids=range(9),
)
@pytest.mark.parametrize(("method", "path"), TASK_BODIES)
def test_broken_forms(http: httpx2.Client, method: str, path: str, kind: str, content: bytes) -> None:
    answer = http.request(method, path, content=content, headers={"content-type": kind})
    assert answer.status_code == 400, answer.text
    refusal(answer)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text", b"these are words"),
        ("empty", b""),
        ("page", b"<html><img src=x></html>"),
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("half", None),
    ],
)
@pytest.mark.parametrize("encoding", ["file", "data uri"])
def test_pictures_that_are_none(
    http: httpx2.Client, picture: bytes, name: str, content: bytes | None, encoding: str
) -> None:
    sent = picture[: len(picture) // 2] if content is None else content
    if encoding == "file":
        fields = {key: str(value) for key, value in VIDEO.items()}
        answer = http.post("/v1/videos", data=fields, files={"input_reference": ("a.png", sent, "image/png")})
    else:
        uri = f"data:image/png;base64,{base64.b64encode(sent).decode()}"
        answer = http.post("/v1/videos", json=VIDEO | {"input_reference": uri})
    assert (answer.status_code, refusal(answer)["param"]) == (400, "input_reference"), name


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "169.254.169.254"]
)
def test_addresses_inside_are_refused(http: httpx2.Client, guarded: Guarded, host: str) -> None:
    port = guarded.gateway.url.rsplit(":", 1)[1]
    address = f"http://{host}:{port}/healthz"
    video = http.post("/v1/videos", json=VIDEO | {"input_reference": {"image_url": address}})
    part = {"type": "image_url", "image_url": {"url": address}}
    chat = http.post("/v1/chat/completions", json=CHAT | {"messages": [{"role": "user", "content": [part]}]})
    for answer in (video, chat):
        assert answer.status_code == 400
        assert "ok" not in str(refusal(answer)["message"]).split()


def test_other_peoples_things(http: httpx2.Client, guarded: Guarded) -> None:
    for name in (guarded.foreign, ID, "x", "video_", "%00", "..%2f..%2fetc%2fpasswd", "a" * 3000, "任务"):
        for method, path in ROUTES:
            if ID not in path:
                continue
            body = {"prompt": "x"} if method == "POST" else None
            answer = http.request(method, path.replace(ID, name), json=body)
            assert answer.status_code in (404, 405), (path, name, answer.text)
            refusal(answer)
    for body in (
        VIDEO | {"characters": [guarded.character]},
        VIDEO | {"characters": [{"id": guarded.character}]},
    ):
        assert http.post("/v1/videos", json=body).status_code == 404
    for path in ("edits", "extensions"):
        body = {"prompt": "x", "seconds": 1, "video": {"id": guarded.foreign}}
        answer = http.post(f"/v1/videos/{path}", json=body)
        assert (answer.status_code, refusal(answer)["code"]) == (404, "not_found")
    assert http.get(f"/v1/videos/characters/{guarded.character}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/chat", 404),
        ("GET", "/../../etc/passwd", 404),
        ("PUT", "/v1/videos", 405),
        ("PATCH", f"/v1/videos/{ID}", 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/v1/embeddings", 405),
        ("POST", "/healthz", 405),
        ("GET", "/files/x/y", 404),
    ],
)
def test_no_such_place(http: httpx2.Client, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    refusal(answer)
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "ключ", "tab\there"])
def test_idempotency_keys(http: httpx2.Client, key: str) -> None:
    for path, body in (("/v1/videos", VIDEO), ("/v1/chat/completions", CHAT)):
        answer = http.post(path, json=body, headers={"idempotency-key": key.encode()})
        assert (answer.status_code, refusal(answer)["param"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize(
    "host",
    ['evil"><script>', "a b", "evil.example/path", "user@evil.example", "evil.example:99999999", "'", ""],
)
def test_a_malformed_host_never_lands_in_a_link(http: httpx2.Client, guarded: Guarded, host: str) -> None:
    own = guarded.gateway.url
    for path in (f"/v1/videos/{guarded.own}", f"/v1/tasks/{guarded.own}", "/v1/videos/"):
        answer = http.get(path, headers={"host": host})
        links = re.findall(r'"(https?://[^"]*)"', answer.text)
        assert answer.status_code == 400 or all(link.startswith(f"{own}/files/") for link in links)


def test_request_ids(http: httpx2.Client) -> None:
    for good in ("7", "mine-12345678", "Root=1-67891233;a.b:c/d@e", "x" * 128):
        given = http.get("/healthz", headers={"x-request-id": good}).headers["x-request-id"]
        assert given == good
    for bad in (
        "x" * 129,
        "<script>alert(1)</script>",
        "a b c d e f",
        'a"b',
        "a'b",
        "a&b",
        "a\\b",
        "a\tb",
        "caf\xe9",
    ):
        given = http.get("/healthz", headers=[(b"x-request-id", bad.encode("latin-1"))]).headers[
            "x-request-id"
        ]
        assert given.startswith("req_")
    twice = http.get("/healthz", headers=[("x-request-id", "mine"), ("x-request-id", "yours")])
    assert twice.headers["x-request-id"].startswith("req_")
