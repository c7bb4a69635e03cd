"""Signed links open one file until they expire, and nothing else."""

from urllib.parse import parse_qs, urlsplit

import pytest

from app.errors import PermissionDenied, ResourceExpired
from app.media.links import LinkSigner

SIGNER = LinkSigner([b"k" * 32], ttl_seconds=100)
PATH = "/files/0123/video.mp4"


def parts(link: str) -> tuple[str, str, str]:
    split = urlsplit(link)
    query = parse_qs(split.query, strict_parsing=True)
    return split.path, query["expires"][0], query["signature"][0]


def test_a_link_works_until_it_expires() -> None:
    path, expires, signature = parts(SIGNER.sign(PATH, now=1000.7))
    assert (path, expires) == (PATH, "1100")
    SIGNER.verify(path, expires, signature, now=1099.9)
    with pytest.raises(ResourceExpired):
        SIGNER.verify(path, expires, signature, now=1100)


def test_anything_changed_is_denied() -> None:
    path, expires, signature = parts(SIGNER.sign(PATH, now=1000))
    other_key = LinkSigner([b"x" * 32], ttl_seconds=100)
    wrong = [
        ("/files/0123/other.mp4", expires, signature),
        (path, "9999", signature),
        (path, "1100 ", signature),
        (path, "", signature),
        (path, "never", signature),
        (path, "-1", ""),
        (path, expires, ""),
        (path, expires, signature[:-1]),
        (path, expires, signature + "="),
        (path, expires, "é\ud800"),
        (path + "\n11", "00", signature),
        parts(other_key.sign(PATH, now=1000)),
    ]
    for case in wrong:
        with pytest.raises(PermissionDenied):
            SIGNER.verify(*case, now=1000)
