"""The addresses of one upstream: plain paths below a base URL."""

import re
from functools import lru_cache

import aiohttp
from yarl import URL

PLAIN_PATH = re.compile(r"/[A-Za-z0-9\-._~%!$&'()*+,;=:@/]*")


def checked_path(path: str) -> str:
    """Raises ``ValueError`` for anything but a plain path: it would lead a credential elsewhere."""
    if not PLAIN_PATH.fullmatch(path):
        raise ValueError("a provider asked for something that is not a path")
    if "/." in path and any(part in {".", ".."} for part in path.split("/")):
        raise ValueError("a provider asked for a path that leads elsewhere")
    if path.startswith("//"):
        raise ValueError("a provider asked for a path that leads elsewhere")
    return path


@lru_cache(maxsize=8192)
def address_of(base: str, path: str) -> URL:
    """``path`` below ``base``; kept, because work is polled at one address many times. Raises ``ValueError``."""
    return URL(base + checked_path(path), encoded=True)


def split_credential(base_url: str) -> tuple[str, dict[str, str]]:
    """A base URL as it is dialled, and the header for the name and the password in it. An address that can't be read is
    empty: nothing can be sent there."""
    try:
        url = URL(base_url)
        plain = str(url.with_user(None)).rstrip("/")
    except ValueError:
        return "", {}
    if url.user is None and url.password is None:
        return plain, {}
    return plain, {"Authorization": aiohttp.encode_basic_auth(url.user or "", url.password or "")}
