"""One operation, many encodings: what the SDKs and curl really send, and what must be refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from app.dialects.http.body import Body, BodyLimits, Upload, read_body
from app.errors import FilmgateError, InvalidRequest, MissingField, PayloadTooLarge

PNG = b"\x89PNG\r\n\x1a\n--not the boundary\r\n"
LIMITS = BodyLimits()


def request(raw: bytes, content_type: str | None, *, chunk: int = 1 << 20) -> Request:
    """A request whose body arrives in pieces of ``chunk`` bytes."""
    headers = [] if content_type is None else [(b"content-type", content_type.encode())]
    pieces: Iterator[bytes] = iter([raw[at : at + chunk] for at in range(0, len(raw), chunk)] or [b""])

    async def receive() -> Message:
        piece = next(pieces, None)
        if piece is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": piece, "more_body": True}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


async def read(
    raw: bytes, content_type: str | None, *, limits: BodyLimits = LIMITS, chunk: int = 1 << 20
) -> Body:
    return await read_body(request(raw, content_type, chunk=chunk), limits=limits)


async def read_json(value: Any, *, limits: BodyLimits = LIMITS) -> Body:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return await read(raw, "application/json", limits=limits)


def multipart(*parts: tuple[str, str | Upload], boundary: str = "b0undary") -> tuple[bytes, str]:
    lines = []
    for name, value in parts:
        disposition = f'Content-Disposition: form-data; name="{name}"'
        if isinstance(value, Upload):
            disposition += f'; filename="{value.file_name}"\r\nContent-Type: {value.content_type}'
        content = value.content if isinstance(value, Upload) else value.encode()
        lines.append(f"--{boundary}\r\n{disposition}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join(lines) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


async def read_form(
    *parts: tuple[str, str | Upload], limits: BodyLimits = LIMITS, chunk: int = 1 << 20
) -> Body:
    raw, content_type = multipart(*parts)
    return await read(raw, content_type, limits=limits, chunk=chunk)


# ---- encodings ---------------------------------------------------------------------------------

FOLDED = [
    # openai-facts §1.3: what the SDKs put on the wire
    ([("prompt", "a"), ("seconds", "7"), ("b", "true")], {"prompt": "a", "seconds": "7", "b": "true"}),
    (
        [("nested[a][]", "1"), ("nested[a][]", "2"), ("arr[]", "x")],
        {"nested": {"a": ["1", "2"]}, "arr": ["x"]},
    ),
    (
        [("input_reference[image_url]", "https://x/a.png")],
        {"input_reference": {"image_url": "https://x/a.png"}},
    ),
    ([("video[id]", "video_1")], {"video": {"id": "video_1"}}),
    ([("characters[0][id]", "a"), ("characters[1][id]", "b")], {"characters": [{"id": "a"}, {"id": "b"}]}),
    ([("characters[][id]", "a"), ("characters[][id]", "b")], {"characters": [{"id": "a"}, {"id": "b"}]}),
    ([("c[][id]", "a"), ("c[][n]", "1"), ("c[][id]", "b")], {"c": [{"id": "a", "n": "1"}, {"id": "b"}]}),
    ([("c[][t][]", "1"), ("c[][t][]", "2")], {"c": [{"t": ["1", "2"]}]}),
    (
        [("c[][a][x]", "1"), ("c[][a][y]", "2"), ("c[][a][x]", "3")],
        {"c": [{"a": {"x": "1", "y": "2"}}, {"a": {"x": "3"}}]},
    ),
    ([("a[][]", "1"), ("a[][]", "2")], {"a": [["1", "2"]]}),
    ([("a[7]", "x"), ("a[2]", "y"), ("a[999999]", "z")], {"a": ["y", "x", "z"]}),
    ([("a[1]", "x"), ("a[]", "y"), ("a[]", "z")], {"a": ["y", "x", "z"]}),
    ([("images", "a"), ("images", "b")], {"images": ["a", "b"]}),
    ([("a[0]", "x"), ("a[k]", "y")], {"a": {"0": "x", "k": "y"}}),
    (
        [("a[b", "x"), ("a]", "y"), ("[]", "z"), ("a[b]c", "w")],
        {"a[b": "x", "a]": "y", "[]": "z", "a[b]c": "w"},
    ),
    ([("提示", "猫")], {"提示": "猫"}),
    ([], {}),
]


@pytest.mark.parametrize(("parts", "fields"), FOLDED)
async def test_bracket_names_in_multipart(parts: list[tuple[str, str]], fields: dict[str, Any]) -> None:
    assert (await read_form(*parts)).fields == fields


@pytest.mark.parametrize("chunk", [1, 7, 64])
async def test_pieces_do_not_matter(chunk: int) -> None:
    body = await read_form(("a[b]", "x" * 50), ("f", Upload("f.png", "image/png", PNG)), chunk=chunk)
    assert body.fields == {"a": {"b": "x" * 50}, "f": Upload("f.png", "image/png", PNG)}


URLENCODED = [
    (
        "prompt=a+cat&seconds=4&images[]=x&images%5B%5D=y",
        {"prompt": "a cat", "seconds": "4", "images": ["x", "y"]},
    ),
    ("video[id]=v&blank=&prompt=%E7%8C%AB", {"video": {"id": "v"}, "blank": "", "prompt": "猫"}),
    ("prompt=猫", {"prompt": "猫"}),
    ('{"prompt": "curl -d"}', {"prompt": "curl -d"}),  # curl calls it a form
]


@pytest.mark.parametrize(("text", "fields"), URLENCODED)
async def test_urlencoded(text: str, fields: dict[str, Any]) -> None:
    assert (await read(text.encode(), "application/x-www-form-urlencoded")).fields == fields


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json", "application/json; charset=utf-8", "text/plain", "APPLICATION/JSON"],
)
async def test_json_whatever_the_header_says(content_type: str | None) -> None:
    assert (await read(b' {"a": {"b": [1, null]}}\n', content_type)).fields == {"a": {"b": [1, None]}}


@pytest.mark.parametrize("content_type", [None, "application/json", "application/x-www-form-urlencoded"])
async def test_no_body_is_no_fields(content_type: str | None) -> None:
    assert (await read(b"", content_type)).fields == {}  # openai-facts §1.3, delete


async def test_of_equal_keys_the_last_counts_and_a_mark_of_order_is_ignored() -> None:
    assert (await read_json(b'\xef\xbb\xbf{"a": 1, "a": 2}')).fields == {"a": 2}


# ---- accessors ---------------------------------------------------------------------------------


def body(**fields: Any) -> Body:
    return Body(fields, limits=LIMITS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(4, 4), (4.5, 4.5), ("4", 4), (" 12 ", 12), ("4.50", 4.5), ("-1", -1), ("", None), (None, None)],
)
def test_number(value: Any, expected: float | None) -> None:
    assert body(seconds=value).number("seconds") == expected


@pytest.mark.parametrize("value", [True, "four", "1_0", "1e3", "nan", "inf", "٤", [4], {}, "0x10", "9" * 99])
def test_not_a_number(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="seconds must be a number") as caught:
        body(seconds=value).number("seconds")
    assert caught.value.param == "seconds"


@pytest.mark.parametrize(
    ("limits", "text"),
    [({"low": 5}, "at least 5"), ({"high": 3}, "at most 3"), ({"low": 5, "high": 60}, "from 5 to 60")],
)
def test_number_out_of_range(limits: dict[str, float], text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"seconds must be {text}"):
        body(seconds="4").number("seconds", **limits)


def test_integer() -> None:
    assert body(seed="7").integer("seed") == 7
    assert body(seed=7.0).integer("seed") == 7
    assert body(seed=2**63 - 1).integer("seed") == 2**63 - 1
    assert body().integer("seed") is None
    for value in (7.5, "7.5"):
        with pytest.raises(InvalidRequest, match="seed must be a whole number"):
            body(seed=value).integer("seed")
    for value in (2**63, 10**299, str(10**29)):
        with pytest.raises(
            InvalidRequest, match="seed must be from -9223372036854775807 to 9223372036854775807"
        ):
            body(seed=value).integer("seed")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("False", False),
        ("1", True),
        (0, False),
        (" on ", True),
        ("no", False),
        ("", None),
        (None, None),
    ],
)
def test_boolean(value: Any, expected: bool | None) -> None:
    assert body(hd=value).boolean("hd") is expected


@pytest.mark.parametrize("value", ["maybe", 2, 1.0, [], {}, "\u0661"])
def test_not_a_boolean(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="hd must be true or false"):
        body(hd=value).boolean("hd")


def test_text() -> None:
    assert body(prompt="a").text("prompt") == "a"
    assert body().text("prompt") is None
    assert body(prompt=" a ").required_text("prompt") == " a "
    with pytest.raises(InvalidRequest, match="prompt must be a string"):
        body(prompt=5).text("prompt")
    for fields in ({}, {"prompt": None}, {"prompt": " \n"}):
        with pytest.raises(MissingField, match=r"^prompt is required$"):
            body(**fields).required_text("prompt")


@pytest.mark.parametrize("value", [{"id": "v"}, '{"id":"v"}', ' {"id": "v"}'])
def test_object_or_its_json_text(value: Any) -> None:
    found = body(video=value).object("video")
    assert found is not None
    assert found.text("id") == "v"
    with pytest.raises(MissingField, match=r"^video\.name is required$"):
        found.required_text("name")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("v", "video must be an object"),
        ([1], "video must be an object"),
        ("{broken", "video is not valid JSON: .* line 1 column 2"),
        ('{"a": NaN}', "NaN is not allowed"),
        ('{"a": "\\u0000"}', "video.a contains a NUL character"),
        ('{"a":' * 40 + "1" + "}" * 40, "nested deeper than 32 levels"),
    ],
)
def test_not_an_object(value: Any, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text) as caught:
        body(video=value).object("video")
    assert (caught.value.param or "").startswith("video")


def test_json_text_stays_text_where_no_object_is_wanted() -> None:
    assert body(prompt='{"a": 1}').text("prompt") == '{"a": 1}'


async def test_lists_and_names_sent_twice() -> None:
    form = await read_form(("images", "a"), ("images", "b"), ("seconds", "4"), ("seconds", "8"), ("one", "x"))
    assert form.texts("images") == ("a", "b")
    assert form.number("seconds") == 8
    assert form.texts("one") == ("x",)
    assert form.list("none") == ()
    assert body(images='["a", "b"]').texts("images") == ("a", "b")
    assert body(images=["a", " "]).texts("images") == ("a",)
    with pytest.raises(InvalidRequest, match="images must be a list of strings"):
        body(images=["a", 1]).texts("images")


async def test_a_file() -> None:
    upload = Upload("猫.png", "image/png", PNG)
    form = await read_form(("prompt", "a"), ("input_reference", upload))
    assert form.upload("input_reference") == upload
    assert form.source("input_reference") == upload
    assert form.upload("video") is None
    assert len(upload.sha256) == 64
    with pytest.raises(
        PayloadTooLarge, match="input_reference is larger than the limit of 5 bytes"
    ) as caught:
        form.upload("input_reference", limit=5)
    assert (caught.value.status, caught.value.param) == (413, "input_reference")
    with pytest.raises(InvalidRequest, match="prompt must be a file"):
        form.upload("prompt")


async def test_every_way_a_picture_may_come() -> None:
    upload = Upload("a.png", "image/png", PNG)
    form = await read_form(
        ("images[]", upload), ("images[]", "https://x/a.png"), ("images[]", '{"file_id": "f"}')
    )
    file, address, reference = form.sources("images")
    assert (file, address) == (upload, "https://x/a.png")
    assert isinstance(reference, Body)
    assert reference.required_text("file_id") == "f"
    assert reference.path == "images[2]"
    assert body(image="data:image/png;base64,AA").source("image") == "data:image/png;base64,AA"
    assert body(images=["", None]).sources("images") == ()
    assert body().source("image") is None
    with pytest.raises(InvalidRequest, match=r"images\[1\] must be a file, an address"):
        body(images=["a", 5]).sources("images")


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\films\\\\a.mp4", "a.mp4"),
        ("a\x01\x7fb.png", "ab.png"),
        ("x" * 400, "x" * 255),
    ],
)
async def test_file_names_are_cleaned(sent: str, name: str) -> None:
    upload = (await read_form(("f", Upload(sent, "IMAGE/PNG; a=b", b"x")))).upload("f")
    assert upload == Upload(name, "image/png", b"x")


async def test_an_empty_file_input_is_no_file_and_an_odd_type_is_bytes() -> None:
    form = await read_form(
        ("f", Upload("", "application/octet-stream", b"")), ("g", Upload("g", "odd", b"x"))
    )
    assert form.upload("f") is None
    assert form.upload("g") == Upload("g", "application/octet-stream", b"x")


async def test_the_rest_goes_to_the_upstream() -> None:
    known = {"prompt"}
    assert body(prompt="a", fps=24, nested={"a": [1]}, none=None).unknown_fields(known) == {
        "fps": 24,
        "nested": {"a": [1]},
    }
    form = await read_form(("prompt", "a"), ("lora", "x"), ("lora", "y"))
    assert form.unknown_fields(known) == {"lora": ["x", "y"]}
    form = await read_form(("masks[]", Upload("m.png", "image/png", PNG)))
    with pytest.raises(InvalidRequest, match="masks is a file") as caught:
        form.unknown_fields(known)
    assert caught.value.param == "masks"


# ---- fingerprint -------------------------------------------------------------------------------


async def test_equal_wishes_have_equal_fingerprints() -> None:
    upload = Upload("a.png", "image/png", PNG)
    parts = [("prompt", "猫"), ("seconds", "4"), ("hd", "true"), ("video[id]", "v"), ("f", upload)]
    raw, content_type = multipart(*parts, boundary="first")
    again, other_type = multipart(*reversed(parts), boundary="second")
    prints = {(await read(raw, content_type)).fingerprint(), (await read(again, other_type)).fingerprint()}
    assert len(prints) == 1
    fields = {"seconds": 4.0, "prompt": "猫", "video": {"id": "v"}, "hd": True, "nothing": None}
    form = await read_form(*parts[:4])
    assert form.fingerprint() == (await read_json(fields)).fingerprint()


@pytest.mark.parametrize(
    "other",
    [
        {"a": "2"},
        {"b": "1"},
        {"a": ["1"]},
        {"a": {"0": "1"}},
        {"a": Upload("", "", b"1")},
        {},
        {"a": "1", "b": ""},
    ],
)
def test_other_wishes_have_others(other: dict[str, Any]) -> None:
    assert body(**other).fingerprint() != body(a="1").fingerprint()


def test_order_of_a_list_and_bytes_of_a_file_matter_and_its_name_does_not() -> None:
    assert body(a=["1", "2"]).fingerprint() != body(a=["2", "1"]).fingerprint()
    one, two = Upload("a", "b", b"x"), Upload("a", "b", b"y")
    assert body(f=one).fingerprint() != body(f=two).fingerprint()
    assert body(f=one).fingerprint() == body(f=Upload("c", "d", b"x")).fingerprint()


# ---- refusals ----------------------------------------------------------------------------------

REFUSED_JSON = [
    (b"{", "The body is not valid JSON: .* at line 1 column 2"),
    (b'{"a": 1,\n "b" 2}', "at line 2 column 6"),
    (b"[]", "The body must be a JSON object"),
    (b'"a"', "The body must be a JSON object"),
    (b"null", "The body must be a JSON object"),
    (b'{"a": NaN}', "NaN is not allowed in JSON"),
    (b'{"a": -Infinity}', "-Infinity is not allowed in JSON"),
    (b'{"a": 1e999}', "too large"),
    (b'{"a": ' + b"9" * 5000 + b"}", "more than 300 digits"),
    (b'{"a": "x\\u0000y"}', "a contains a NUL character"),
    (b'{"a": [{"b": "\\ud800"}]}', r"a\[0\]\.b contains half a surrogate pair"),
    (b'{"\\u0000": 1}', "A field name contains a NUL character"),
    (b'{"\\udfff": 1}', "A field name contains half a surrogate pair"),
    (b'{"a": "\xff"}', "not valid UTF-8 at byte 7"),
    (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "nested deeper than 32 levels"),
    (b'{"a":' * 100_000, "nested deeper than 32 levels"),
    (b"[" * 150_000, "nested deeper than 32 levels"),
    (json.dumps(dict.fromkeys(map(str, range(1_001)))).encode(), "The body has more than 1000 fields"),
    (json.dumps({"a": [0] * 20_001}).encode(), "The body has more than 20000 values"),
    (b'{"a": [' + b"[]," * 1_000_000 + b"0]}", "The body has more than 20000 values"),
]


@pytest.mark.parametrize(("raw", "text"), REFUSED_JSON, ids=range(len(REFUSED_JSON)))
async def test_refused_json(raw: bytes, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        await read_json(raw)


async def test_what_is_just_allowed() -> None:
    nested: Any = 1
    for _ in range(31):
        nested = [nested]
    fields = {
        "a": nested,
        "n": 10**299,
        "f": 1e308,
        "s": "\U0001f600",
        "many": dict.fromkeys(map(str, range(1_000)), "x"),
    }
    assert (await read_json(fields)).fields == fields


B = "--b0undary\r\nContent-Disposition: form-data"
REFUSED_FORMS = [
    ("multipart/form-data", b"x", "Missing boundary"),
    ("multipart/form-data; boundary=" + "b" * 300, b"x", "can't be read"),
    ("multipart/form-data; boundary=b0undary; charset=punycode", b"x", "must be UTF-8"),
    ("multipart/form-data; boundary=b0undary", b"", "ends before its closing boundary"),
    ("multipart/form-data; boundary=b0undary", b"not a form", "can't be read"),
    (
        "multipart/form-data; boundary=b0undary",
        f'{B}; name="a"\r\n\r\nhalf'.encode(),
        "ends before its closing boundary",
    ),
    (
        "multipart/form-data; boundary=b0undary",
        f"{B}\r\n\r\nx\r\n--b0undary--".encode(),
        '"name" must be provided',
    ),
    (
        "multipart/form-data; boundary=b0undary",
        f'{B}; name="a"\r\nx: {"y" * 100_000}\r\n\r\n'.encode(),
        "can't be read",
    ),
    ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 1_001), "more than 1000 fields"),
    ("application/x-www-form-urlencoded", b"a=%ff", "not valid UTF-8"),
    ("application/x-www-form-urlencoded", b"a=%00", "a contains a NUL character"),
    ("application/x-www-form-urlencoded", b"a" + b"[a]" * 40 + b"=1", "a is nested deeper than 32 levels"),
    ("application/x-www-form-urlencoded", b"a=1&a[b]=2", "a is given both as a value and as an object"),
    ("application/x-www-form-urlencoded", b"a[b]=2&a=1", "a is given both as a value and as an object"),
]


@pytest.mark.parametrize(("content_type", "raw", "text"), REFUSED_FORMS, ids=range(len(REFUSED_FORMS)))
async def test_refused_forms(content_type: str, raw: bytes, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        await read(raw, content_type)


async def test_bounds_of_a_form() -> None:
    fields = [("a[]", "x")] * 3
    assert (await read_form(*fields, limits=BodyLimits(max_fields=3))).texts("a") == ("x", "x", "x")
    with pytest.raises(InvalidRequest, match="Too many fields"):
        await read_form(*fields, limits=BodyLimits(max_fields=2))
    files = [("f[]", Upload("f", "image/png", b"12345"))] * 2
    with pytest.raises(InvalidRequest, match="Too many files"):
        await read_form(*files, limits=BodyLimits(max_files=1))
    with pytest.raises(PayloadTooLarge, match=r"f\[\] is larger than the limit of 4 bytes"):
        await read_form(*files, limits=BodyLimits(max_upload_bytes=4))
    with pytest.raises(PayloadTooLarge, match="a is larger than the limit of 1 MB"):
        await read_form(("a", "x" * (1 << 20) + "x"), limits=BodyLimits(max_text_bytes=1 << 20))
    with pytest.raises(PayloadTooLarge, match="a is larger than the limit of 10 bytes"):
        await read_json({"a": "x" * 11}, limits=BodyLimits(max_text_bytes=10))


async def test_a_large_text_part_and_a_file_that_spills_to_disk_are_read() -> None:
    size = 3 << 20
    form = await read_form(("image", "A" * size), ("f", Upload("f", "video/mp4", b"v" * size)), chunk=1 << 16)
    upload = form.upload("f")
    assert form.text("image") == "A" * size
    assert upload is not None
    assert upload.content == b"v" * size


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=b0undary"])
@pytest.mark.parametrize("error", [PayloadTooLarge("The body is larger than 1 MB"), None])
async def test_what_ends_the_body_early_passes_through(
    content_type: str, error: PayloadTooLarge | None
) -> None:
    head = f'{B}; name="f"; filename="f"\r\n\r\n'.encode() + b"x" * (2 << 20)
    messages = iter([{"type": "http.request", "body": head, "more_body": True}])

    async def receive() -> Message:
        message = next(messages, None)
        if message is None and error is not None:
            raise error
        return message or {"type": "http.disconnect"}

    headers = [(b"content-type", content_type.encode())]
    broken = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    with pytest.raises(PayloadTooLarge if error else ClientDisconnect):
        await read_body(broken, limits=LIMITS)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=6), JSON_VALUES, max_size=5))
async def test_any_json_is_read_or_refused_cleanly(value: dict[str, Any]) -> None:
    try:
        found = await read_json(json.dumps(value).encode())
    except InvalidRequest:
        return
    assert found.fields == value
    assert len(found.fingerprint()) == 64


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text("a[]01b", max_size=8), st.text(max_size=4)), max_size=6))
async def test_any_form_is_read_or_refused_cleanly(parts: list[tuple[str, str]]) -> None:
    try:
        found = await read_form(*parts)
    except FilmgateError:
        return
    assert len(found.fingerprint()) == 64
    assert found.unknown_fields(()) is not None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
async def test_any_bytes_are_read_or_refused_cleanly(raw: bytes) -> None:
    for content_type in (
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
    ):
        try:
            await read(raw, content_type)
        except FilmgateError:
            continue


async def test_what_a_real_client_encodes() -> None:
    """async-videos manual, curl and Python examples: fields and a picture in one form."""
    fields = {"prompt": "猫 cat", "model": "sora-2", "size": "1280x720", "seconds": "10"}
    sent = requests.Request(
        "POST",
        "http://localhost/v1/videos",
        data=fields,
        files={"input_reference": ("猫.png", PNG, "image/png")},
    ).prepare()
    assert isinstance(sent.body, bytes)
    for raw in (sent.body, sent.body.removesuffix(b"\r\n")):
        form = await read(raw, sent.headers["content-type"], chunk=50)
        assert form.number("seconds") == 10
        assert form.unknown_fields({"input_reference"}) == fields
        assert form.upload("input_reference") == Upload("猫.png", "image/png", PNG)
