"""Every endpoint, field, default, status word, limit and error of the five manuals, one row each."""

import json
from typing import Any

import httpx2
import pytest

from tests.contract import (
    async_videos,
    chat_video,
    feature_endpoints,
    platform_chat,
    return_format,
    status_words,
    unified_tasks,
)
from tests.contract.conftest import Place
from tests.contract.table import Row, check, filled

MANUALS = {
    "feature endpoints": feature_endpoints,
    "return format": return_format,
    "async videos": async_videos,
    "chat video": chat_video,
    "platform": unified_tasks,
    "platform, models and chat": platform_chat,
    "all of them": status_words,
}
ROWS = [pytest.param(row, id=f"{name} § {row}") for name, manual in MANUALS.items() for row in manual.ROWS]


@pytest.fixture(scope="module")
def http() -> Any:
    with httpx2.Client(timeout=60) as client:
        yield client


@pytest.mark.parametrize("row", ROWS)
def test_row(row: Row, http: httpx2.Client, request: pytest.FixtureRequest) -> None:
    place: Place = request.getfixturevalue(row.where)
    answer = [http.send(built(row, http, place)) for _ in range(row.times)][-1]
    assert answer.status_code == row.status, answer.text[:2000]
    document = read(answer)
    check(document, row.holds)
    for path, holds in row.then:
        made = document.get("task_id") or document.get("id") or document["chunks"][0]["id"]
        url = place.url + filled(path, {"id": str(made), **place.things})
        check(read(http.get(url, headers=place.headers[row.key])), holds)


@pytest.mark.parametrize("name", MANUALS)
def test_every_section_has_a_row(name: str) -> None:
    cited = {row.section for row in MANUALS[name].ROWS}
    assert cited == set(MANUALS[name].SECTIONS)


def built(row: Row, http: httpx2.Client, place: Place) -> httpx2.Request:
    method, _, path = row.call.partition(" ")
    url, body = place.url + filled(path, place.things), filled(row.body, place.things)
    headers = dict(place.headers[row.key])
    if not row.form:
        return http.build_request(method, url, json=body, headers=headers)
    files = {name: ("picture.png", value) for name, value in body.items() if isinstance(value, bytes)}
    fields = {name: value for name, value in body.items() if not isinstance(value, bytes)}
    return http.build_request(method, url, data=fields, files=files, headers=headers)


def read(answer: httpx2.Response) -> Any:
    """JSON as it is; a stream as its chunks and what they say; of a file, its headers."""
    kind = answer.headers.get("content-type", "").split(";")[0]
    if kind == "application/json":
        return answer.json()
    if kind != "text/event-stream":
        return {"headers": dict(answer.headers), "length": len(answer.content)}
    frames = [frame for frame in answer.text.split("\n\n") if frame and not frame.startswith(":")]
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-1]]
    told = [chunk["choices"][0] for chunk in chunks if chunk.get("choices")]
    contents = [choice["delta"]["content"] for choice in told if choice["delta"].get("content")]
    return {
        "chunks": chunks,
        "contents": contents,
        "all": "".join(contents),
        "last": contents[-1] if contents else None,
        "end": frames[-1],
        "one id": len({chunk.get("id") for chunk in chunks}) == 1,
        "finish": chunks[-1]["choices"][0]["finish_reason"] if chunks[-1].get("choices") else None,
    }
