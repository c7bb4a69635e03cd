"""Bodies over the limit are refused before they are read whole, with the limit in the message."""

import base64
import json
import socket

import httpx2
import pytest

from tests.security.conftest import BODY_LIMIT, Guarded
from tests.security.refusals import refusal
from tests.serving import KEY

PATHS = ("/v1/videos", "/v1/videos/edits", "/v1/chat/completions", "/v1/embeddings")


def exchange(
    guarded: Guarded, path: str, *, headers: list[str], pieces: list[bytes]
) -> tuple[int, dict[str, str], bytes]:
    """Send a head and some of a body by hand; what came back until the server hung up."""
    port = int(guarded.gateway.url.rsplit(":", 1)[1])
    head = [
        f"POST {path} HTTP/1.1",
        "host: 127.0.0.1",
        f"authorization: Bearer {KEY}",
        "content-type: application/json",
        *headers,
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
        wire.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        answer = b""
        try:
            for piece in pieces:
                wire.sendall(piece)
            while received := wire.recv(65536):
                answer += received
        except (ConnectionResetError, BrokenPipeError):
            while received := wire.recv(65536):
                answer += received
    top, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = top.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return int(first.split()[1]), fields, body


@pytest.mark.parametrize("path", PATHS)
def test_a_declared_gigabyte_is_refused_at_once(guarded: Guarded, path: str) -> None:
    status, headers, body = exchange(
        guarded, path, headers=["content-length: 1073741824"], pieces=[b'{"prompt": "x']
    )
    assert status == 413
    assert headers["connection"] == "close"
    assert headers["x-request-id"].startswith("req_")
    error = json.loads(body)["error"]
    assert (error["code"], error["type"]) == ("payload_too_large", "invalid_request_error")
    assert str(BODY_LIMIT) in error["message"]


@pytest.mark.parametrize("path", PATHS)
def test_a_body_of_undeclared_length_is_cut_off(guarded: Guarded, path: str) -> None:
    """The last chunk never comes: the answer does not wait for it."""
    chunk = b"10000\r\n" + b'"' + b"x" * 65535 + b"\r\n"
    status, headers, body = exchange(
        guarded, path, headers=["transfer-encoding: chunked"], pieces=[chunk] * (BODY_LIMIT // 65536 + 1)
    )
    assert status == 413
    assert headers["connection"] == "close"
    assert str(BODY_LIMIT) in json.loads(body)["error"]["message"]


def test_a_chunked_form_is_cut_off(guarded: Guarded) -> None:
    opening = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n'
    pieces = [
        b"%x\r\n%b\r\n" % (len(part), part) for part in [opening, *[b"x" * 65536] * (BODY_LIMIT // 65536 + 1)]
    ]
    status, _, _ = exchange(
        guarded,
        "/v1/videos",
        headers=["transfer-encoding: chunked", "content-type: multipart/form-data; boundary=b"],
        pieces=pieces,
    )
    assert status == 413


def test_a_picture_over_its_own_limit(http: httpx2.Client) -> None:
    noise = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 250
    fields = {"prompt": "x", "seconds": "1", "size": "64x64"}
    file = http.post("/v1/videos", data=fields, files={"input_reference": ("a.png", noise, "image/png")})
    text = http.post("/v1/videos", json=fields | {"input_reference": base64.b64encode(noise).decode()})
    for answer in (file, text):
        error = refusal(answer)
        assert (answer.status_code, error["param"]) == (413, "input_reference")
        assert "50000" in str(error["message"])


def test_a_clip_over_its_own_limit(http: httpx2.Client) -> None:
    clip = b"\0\0\0\x18ftypmp42" + bytes(120_000)
    answer = http.post(
        "/v1/videos/edits", data={"prompt": "x"}, files={"video": ("a.mp4", clip, "video/mp4")}
    )
    assert (answer.status_code, refusal(answer)["param"]) == (413, "video")
