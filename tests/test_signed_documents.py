"""Signed documents: the canonical form of RFC 8785, keys named as RFC 7638 says, and no change goes unnoticed."""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.signed_documents import (
    SignatureRefused,
    canonical_bytes,
    decode_base64,
    new_private_key,
    public_jwk,
    public_part,
    read_jwks,
    read_signed,
    sign_document,
    thumbprint,
)

RFC_8037_SECRET = decode_base64("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
RFC_8037_PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
CONTENT = {
    "kind": "test",
    "number": 7,
    "none": None,
    "yes": True,
    "text": 'a paper boat — 纸船 \u2028 "quoted"',
    "empty": {},
    "list": [{"sha256": "ab" * 32, "more": [1, 2]}, {"sha256": None}],
    "parts": {"sale": "0.80", "nothing": [], "deep": {"deeper": "x"}},
}
Steps = tuple[Any, ...]


@pytest.fixture(scope="module")
def private() -> bytes:
    return new_private_key()


@pytest.fixture(scope="module")
def keys(private: bytes) -> dict[str, bytes]:
    return {thumbprint(public_part(private)): public_part(private)}


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    given = {
        "numbers": [333333333, -1, 0],
        "string": '€$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    assert canonical_bytes(given).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333,-1,0],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    # Names by UTF-16 code units: the example of section 3.2.3.
    names = ["€", "\r", "\ufb33", "1", "😀", "\x80", "ö"]
    ordered = json.loads(
        canonical_bytes(dict.fromkeys(names)), object_pairs_hook=lambda pairs: [n for n, _ in pairs]
    )
    assert ordered == ["\r", "1", "\x80", "ö", "€", "😀", "\ufb33"]


@pytest.mark.parametrize(
    "value", [0.5, 1.0, 2**53, -(2**53), "\ud800", {"a": float("nan")}, b"bytes", {1: 2}.keys()]
)
def test_what_has_no_canonical_form_is_not_signed(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical_bytes([value])


def test_a_key_is_named_as_rfc_8037_names_it() -> None:
    public = public_part(RFC_8037_SECRET)
    jwk = public_jwk(public)
    assert (jwk["x"], jwk["kid"]) == (RFC_8037_PUBLIC, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")


def test_a_list_of_keys_is_read_and_false_names_are_not(keys: dict[str, bytes]) -> None:
    [(name, public)] = keys.items()
    false = public_jwk(public_part(RFC_8037_SECRET)) | {"kid": name}
    listed = [false, {"kty": "RSA", "n": "x"}, {"kty": "OKP", "crv": "Ed25519", "x": "!", "kid": "a"}, "no"]
    text = json.dumps({"keys": [*listed, public_jwk(public)]})
    assert read_jwks(text) == keys
    for wrong in ("[]", "{}", "nonsense", '{"keys": 1}', b"\xff\xfe"):
        with pytest.raises(SignatureRefused):
            read_jwks(wrong)


def test_what_was_signed_is_read_however_it_is_laid_out(private: bytes, keys: dict[str, bytes]) -> None:
    signed = sign_document(CONTENT, private)
    assert sign_document(CONTENT, private) == signed
    assert read_signed(signed, keys) == CONTENT
    again = json.loads(signed)
    turned = {name: again[name] for name in reversed(list(again))}
    assert read_signed(json.dumps(turned, separators=(",", ":")), keys) == CONTENT


def places(value: Any, *steps: Any) -> Iterator[Steps]:
    """Every place of a document, leaves and branches."""
    yield steps
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, *steps, name)
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from places(each, *steps, number)


def changes_of(value: Any) -> list[Any]:
    """Other values for one place: near ones first, as a forger would choose them."""
    found: list[Any] = [None, "", 0, False, [], {}, "other"]
    if isinstance(value, str):
        found += [value + " ", value[:-1], value[::-1], value.upper(), value.swapcase(), f"{value[:-1]}!"]
    if isinstance(value, int):
        found += [value + 1, -value, str(value), float(value)]
    if isinstance(value, list):
        found += [[*value, None], value[:-1], value[::-1]]
    if isinstance(value, dict):
        found += [value | {"added": None}, dict(list(value.items())[1:])]
    return [each for each in found if each != value or type(each) is not type(value)]


def tampered(document: dict[str, Any]) -> Iterator[tuple[Steps, Any]]:
    for steps in places(document):
        if not steps:
            continue
        for number in range(len(changes_of(_at(document, steps)))):
            copied = copy.deepcopy(document)
            parent = _at(copied, steps[:-1])
            parent[steps[-1]] = changes_of(parent[steps[-1]])[number]
            yield steps, copied


def _at(document: Any, steps: Steps) -> Any:
    for step in steps:
        document = document[step]
    return document


def assert_every_change_is_noticed(signed: bytes, keys: dict[str, bytes]) -> int:
    """In every field of the document, the signature's own too; how many changes were tried."""
    document, tried = json.loads(signed), 0
    read_signed(signed, keys)
    for steps, other in tampered(document):
        tried += 1
        with pytest.raises(SignatureRefused):
            read_signed(json.dumps(other), keys)
            pytest.fail(f"{steps} was changed unnoticed")
    return tried


def test_a_change_of_any_field_is_noticed(private: bytes, keys: dict[str, bytes]) -> None:
    assert assert_every_change_is_noticed(sign_document(CONTENT, private), keys) > 150


def test_the_same_signature_written_otherwise_is_none(private: bytes, keys: dict[str, bytes]) -> None:
    document = json.loads(sign_document(CONTENT, private))
    value = document["signature"]["value"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    near = alphabet[alphabet.index(value[-1]) ^ 1]
    for other in (value + "==", value[:-1] + near, value + "\n", base64.b64encode(b"x" * 64).decode(), "é"):
        document["signature"]["value"] = other
        with pytest.raises(SignatureRefused) as refused:
            read_signed(json.dumps(document), keys)
        assert refused.value.fault == "changed"


def test_a_name_that_stands_twice_is_refused(private: bytes, keys: dict[str, bytes]) -> None:
    text = sign_document(CONTENT, private).decode()
    twice = text.replace('"sale": "0.80"', '"sale": "8.00", "sale": "0.80"')
    assert json.loads(twice) == json.loads(text)
    with pytest.raises(SignatureRefused, match="twice"):
        read_signed(twice, keys)


def test_who_signed_counts(private: bytes, keys: dict[str, bytes]) -> None:
    forged = sign_document(CONTENT, new_private_key())
    with pytest.raises(SignatureRefused) as refused:
        read_signed(forged, keys)
    assert refused.value.fault == "unknown_key"
    document = json.loads(forged)
    document["signature"]["key"] = next(iter(keys))
    with pytest.raises(SignatureRefused) as refused:
        read_signed(json.dumps(document), keys)
    assert refused.value.fault == "changed"


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "{", '{"receipt": {}}', "[" * 100_000, b"\xff", '{"a": NaN}']
)
def test_what_is_no_document_is_refused(text: str | bytes, keys: dict[str, bytes]) -> None:
    with pytest.raises(SignatureRefused) as refused:
        read_signed(text, keys)
    assert refused.value.fault in ("unreadable", "not_signed")
