"""The border that foreign words pass: every store takes what comes out, and nothing on it is lost to one odd character."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.session import Database
from app.db.tables import timeline
from app.foreign import (
    DEEPEST,
    LARGEST_NUMBER,
    clean_document,
    clean_integer,
    clean_number,
    clean_text,
    parse_json,
    writable_text,
)
from app.providers.base import Operation
from app.tasks.task import TaskResult, add_timeline_row

NASTY = "cut \ud83d short\0\x1b[31m\udc00"
ABSURD = [10**400, -(10**400), 1e300, float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'{"id": "job\\ud800", "n": 1}', {"id": "job\ufffd", "n": 1}),
        (b'{"id": "\\ud83d\\ude00", "\\udc00": "\\u0000x"}', {"id": "\U0001f600", "\ufffd": "x"}),
        (b'{"id": "\xed\xa0\x80\xff"}', {"id": "\ufffd" * 4}),
        (b'{"id": "a\nb"}', {"id": "a\nb"}),
        (b"\xef\xbb\xbf[1]", [1]),
        (b"[NaN, Infinity, -1e999]", [None, 1e40, -1e40]),
        (b"[%s, -%s, 12345678901234567890]" % (b"9" * 9000, b"9" * 9000), [LARGEST_NUMBER, -LARGEST_NUMBER, 12345678901234567890]),
        (b'{"id": "x", "junk": ' + b"[" * 50_000 + b"]" * 50_000 + b', "n": 2}', {"id": "x", "n": 2}),
        (b'{"id": "x", "junk": ' + b'{"a":' * 50_000 + b'"]}"' + b"}" * 50_000 + b"}", {"id": "x"}),
        (b"[" * 50_000, None),
        (b'{"id": "x', None),
        (b"[" + b"0," * 300_000 + b"0]", None),
        (b"<html>", None),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_an_answer_is_read_whatever_is_odd_in_it(content: bytes, value: Any) -> None:
    read = parse_json(content)
    if isinstance(read, dict) and "junk" in read:
        assert depth_of(read.pop("junk")) <= DEEPEST
    assert read == value


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, list | dict) and value:
        value, depth = next(iter(value.values() if isinstance(value, dict) else value)), depth + 1
    return depth


def test_texts_for_people_are_one_short_line() -> None:
    assert clean_text(NASTY) == "cut \ufffd short [31m\ufffd"
    assert clean_text("x" * 10_000, 10) == "xxxxxxxxx…"
    assert [clean_text(value) for value in (5, 2.5, True, None, {}, b"x")] == ["5", "2.5", "", "", "", ""]
    assert writable_text("a\0\ud800\n") == "a\ufffd\n"


def test_numbers_are_brought_into_range() -> None:
    given = [*ABSURD, "1e999", "12", "nan", "x", True, None, "9" * 500, 3.9]
    assert [clean_number(value, 0, 10) for value in given] == [
        10, 0, 10, None, 10, 0, 10, 10, None, None, None, None, 10, 3.9,
    ]  # fmt: skip
    assert [clean_integer(value) for value in (2**70, -5, "7", 2.9, True)] == [2**63 - 1, 0, 7, 2, None]


def test_documents_are_bounded() -> None:
    deep: Any = "end"
    for _ in range(5000):
        deep = [deep]
    copied = clean_document(
        {"deep": deep, NASTY: NASTY, "numbers": ABSURD, "many": list(range(50_000)), "odd": object()}
    )
    text = json.dumps(copied, allow_nan=False)
    assert depth_of(copied["deep"]) == 15
    assert len(text) < 100_000
    text.encode().decode()


@pytest.mark.parametrize(
    "put", [str, lambda text: {"a": [text]}, lambda text: {text: 1}], ids=["text", "inside", "name"]
)
async def test_every_store_takes_a_timeline_row(database_url: str, put: Callable[[str], Any]) -> None:
    database = Database(database_url)
    async with database.write() as connection:
        await add_timeline_row(
            connection, "t", epoch=0, event="odd", detail={"what": put(NASTY), "n": ABSURD}
        )
    async with database.read() as connection:
        stored = (await connection.execute(sa.select(timeline.c.detail))).scalar_one()
    assert "short" in stored
    assert "u0000" not in stored
    await database.close()


def test_receipts_and_results_hold_only_what_a_row_can_hold() -> None:
    operation = Operation(id=NASTY + "x" * 10_000, data={"path": NASTY, "n": ABSURD})
    kept = Operation.model_validate_json(operation.model_dump_json())
    assert kept == operation
    assert len(kept.id) <= 2000
    result = TaskResult(
        files=(), vendor_url="https://a/" + "x" * 100_000, usage={"credits": 10**400, NASTY: NASTY}
    )
    assert result.vendor_url is None
    result.model_dump_json().encode()
