"""Bodies are bounded before they are parsed, and large ones are parsed beside the event loop."""

import json
import threading
import tracemalloc

import pytest

from app.errors import InvalidRequest
from app.json_bodies import (
    LARGE_BODY_BYTES,
    MARKING_DECODER,
    RepeatedNames,
    holds_too_many_values,
    run_for_body,
)
from app.relay.request import MOST_VALUES, read_json_request

SIZE = 40_000_000
HOSTILE = {
    "objects": b'{"model": "bot", "x": [' + b"{}," * (SIZE // 3) + b"{}]}",
    "lists": b'{"model": "bot", "x": [' + b"[]," * (SIZE // 3) + b"[]]}",
    "numbers": b'{"model": "bot", "x": [' + b"1," * (SIZE // 2) + b"1]}",
    "depth": b'{"model": "bot", "x": ' + b"[" * SIZE,
    "escapes": b'{"model": "bot", "x": "' + b'\\"' * (SIZE // 2) + b'"}',
    "quotes": b'"' * SIZE,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_body_takes_no_more_memory_than_itself(name: str) -> None:
    body = HOSTILE[name]
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest):
            await read_json_request(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"{name}: {peak / len(body):.2f} times the body")
    assert peak < 1.5 * len(body)


@pytest.mark.parametrize("value", [b'"",', b'"":0,'])
async def test_a_body_of_texts_is_counted_no_further_than_the_limit(value: bytes) -> None:
    with pytest.raises(InvalidRequest, match="more than"):
        await read_json_request(b'{"model": "bot", "x": [' + value * (MOST_VALUES + 1) + b"0]}")


async def test_large_honest_bodies_are_read() -> None:
    tokens = {"model": "bot", "input": [[1] * 1000] * 300}
    assert (await read_json_request(json.dumps(tokens).encode())).fields == tokens
    table = {"model": "bot", "messages": [{"content": 'a,b,[1],{2},"\\' * 1_000_000}]}
    assert (await read_json_request(json.dumps(table).encode())).fields == table


async def test_a_large_body_is_read_in_a_thread() -> None:
    here = threading.get_ident()
    assert await run_for_body(LARGE_BODY_BYTES, threading.get_ident) == here
    assert await run_for_body(LARGE_BODY_BYTES + 1, threading.get_ident) != here


@pytest.mark.parametrize("text", ["{}", '"a"', "[1,2]", '{"a": "[[[,,,{{{[[[,,,"}', '"\\\\"', '"\\","'])
def test_marks_in_texts_are_no_values(text: str) -> None:
    assert not holds_too_many_values(text.encode(), 8)


def test_names_that_stand_twice_are_kept() -> None:
    read = MARKING_DECODER.decode('{"a": 1, "\\u0061": 2, "b": {"c": 1, "c": 2}, "d": {}}')
    assert isinstance(read, RepeatedNames) and read.repeated == {"a"}
    assert isinstance(read["b"], RepeatedNames) and not isinstance(read["d"], RepeatedNames)


def test_the_limit_leaves_room_for_the_largest_embedding() -> None:
    assert MOST_VALUES > 300_000
