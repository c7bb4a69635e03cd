"""JSON documents with a signature that anybody can check without us: canonical JSON (RFC 8785), Ed25519, keys as JWK
(RFC 8037) that are named by their thumbprint (RFC 7638).

A document is ``{"receipt": {...}, "signature": {"algorithm": "Ed25519", "key": ..., "value": ...}}``. What is signed is the
canonical form of the whole document without ``signature.value``. Numbers are whole ones below 2**53, so that every
language writes them alike; amounts and times are texts.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM = "Ed25519"
CONTENT, SIGNATURE = "receipt", "signature"
LARGEST_NUMBER = 2**53 - 1
MOST_BYTES = 4 * 1024 * 1024
"""Of a document or a list of keys that is read."""
Fault = Literal["unreadable", "not_signed", "unknown_key", "changed"]


class SignatureRefused(Exception):
    """Why a document does not count as signed."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(fault, detail)
        self.fault = fault
        self.detail = detail


def canonical_bytes(document: Any) -> bytes:
    """RFC 8785. Raises ``ValueError`` for what has no such form here: fractions, large numbers, half surrogate pairs."""
    text = json.dumps(_in_order(document), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _in_order(value: Any) -> Any:
    if isinstance(value, Mapping):
        # By UTF-16 code units, as JavaScript orders them.
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return {name: _in_order(value[name]) for name in names}
    if isinstance(value, list | tuple):
        return [_in_order(each) for each in value]
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int) and abs(value) <= LARGEST_NUMBER:
        return value
    raise ValueError(f"{value!r} has no canonical form")


def encode_base64(content: bytes) -> str:
    """Base64 for URLs without padding, as JWK and JWS write it."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_base64(text: str) -> bytes:
    """Raises ``ValueError``, also for a second way to write the same bytes."""
    content = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if encode_base64(content) != text:
        raise ValueError("this is not how these bytes are written")
    return content


def new_private_key() -> bytes:
    """32 bytes: the secret itself."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_part(private: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def thumbprint(public: bytes) -> str:
    """The name of a key, which is made of the key: nobody can publish another one under it."""
    required = {"crv": ALGORITHM, "kty": "OKP", "x": encode_base64(public)}
    return encode_base64(hashlib.sha256(canonical_bytes(required)).digest())


def public_jwk(public: bytes) -> dict[str, str]:
    return {
        "kty": "OKP",
        "crv": ALGORITHM,
        "x": encode_base64(public),
        "kid": thumbprint(public),
        "alg": "EdDSA",
        "use": "sig",
    }


def read_jwks(text: str | bytes) -> dict[str, bytes]:
    """Our keys in a list of keys, by name. Raises ``SignatureRefused`` for what is no such list.

    A key whose name is not its thumbprint is left out: names are what receipts are looked up by.
    """
    document = _read_json(text)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise SignatureRefused("unreadable", "this is no list of keys: it has no keys")
    found = {}
    for each in listed:
        if isinstance(each, dict) and each.get("kty") == "OKP" and each.get("crv") == ALGORITHM:
            public = _public_of(each)
            if public is not None and each.get("kid") == thumbprint(public):
                found[thumbprint(public)] = public
    return found


def _public_of(jwk: Mapping[str, Any]) -> bytes | None:
    try:
        public = decode_base64(str(jwk.get("x")))
    except ValueError:
        return None
    return public if len(public) == 32 else None


def sign_document(content: Mapping[str, Any], private: bytes) -> bytes:
    """The document as a file: indented, because people read it too; its signature does not depend on that."""
    head = {"algorithm": ALGORITHM, "key": thumbprint(public_part(private))}
    message = canonical_bytes({CONTENT: content, SIGNATURE: head})
    value = encode_base64(Ed25519PrivateKey.from_private_bytes(private).sign(message))
    document = {CONTENT: content, SIGNATURE: {**head, "value": value}}
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def read_signed(text: str | bytes, keys: Mapping[str, bytes]) -> dict[str, Any]:
    """What is inside a document that one of ``keys`` has signed. Raises ``SignatureRefused``."""
    document = _read_json(text)
    if not isinstance(document, dict) or set(document) != {CONTENT, SIGNATURE}:
        raise SignatureRefused("not_signed")
    content, signature = document[CONTENT], document[SIGNATURE]
    if not isinstance(content, dict) or not isinstance(signature, dict):
        raise SignatureRefused("not_signed")
    if set(signature) != {"algorithm", "key", "value"} or signature["algorithm"] != ALGORITHM:
        raise SignatureRefused("not_signed")
    public = keys.get(str(signature["key"]))
    if public is None:
        raise SignatureRefused("unknown_key", str(signature["key"])[:80])
    head = {"algorithm": signature["algorithm"], "key": signature["key"]}
    try:
        message = canonical_bytes({CONTENT: content, SIGNATURE: head})
        Ed25519PublicKey.from_public_bytes(public).verify(decode_base64(str(signature["value"])), message)
    except (InvalidSignature, ValueError) as error:
        raise SignatureRefused("changed") from error
    return content


def _read_json(text: str | bytes) -> Any:
    """Strict: a name that stands twice would let two readers see two documents."""
    if len(text) > MOST_BYTES:
        raise SignatureRefused("unreadable", f"it is larger than {MOST_BYTES} bytes")
    try:
        plain = text if isinstance(text, str) else text.decode()
        return json.loads(plain, object_pairs_hook=_single_names, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise SignatureRefused("unreadable", str(error)[:200]) from error


def _single_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in it")
    return found


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")
