"""Where a client's key may stand in a request; the routes themselves are tried in tests/security."""

import pytest

from app.keys.service import key_in_headers

PROTOCOLS = b"realtime, openai-insecure-api-key.sk-1, other"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], ""),
        ([(b"authorization", b"Bearer sk-1")], "sk-1"),
        ([(b"authorization", b"bearer   sk-1  ")], "sk-1"),
        ([(b"authorization", b"sk-1")], "sk-1"),
        ([(b"authorization", b"Basic c2stMQ==")], ""),
        ([(b"authorization", b"Basic c2stMQ=="), (b"x-api-key", b"sk-1")], "sk-1"),
        ([(b"x-api-key", b"sk-1"), (b"authorization", b"Digest a b")], "sk-1"),
        ([(b"x-api-key", b" sk-1 ")], "sk-1"),
        ([(b"x-api-key", b"sk-1"), (b"authorization", b"")], "sk-1"),
        ([(b"authorization", b"Bearer "), (b"x-api-key", b"sk-1")], "sk-1"),
        ([(b"x-api-key", b"sk-2"), (b"authorization", b"Bearer sk-1")], "sk-1"),
        ([(b"sec-websocket-protocol", PROTOCOLS)], "sk-1"),
        ([(b"sec-websocket-protocol", PROTOCOLS), (b"x-api-key", b"sk-2")], "sk-2"),
        ([(b"sec-websocket-protocol", PROTOCOLS), (b"authorization", b"Bearer sk-2")], "sk-2"),
        ([(b"x-goog-api-key", b"sk-1")], ""),
    ],
)
def test_key_in_headers(headers: list[tuple[bytes, bytes]], expected: str) -> None:
    assert key_in_headers(headers) == expected
