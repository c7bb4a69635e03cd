"""Where a vendor's account lives: the vendor's own host, unless the operator names another."""

from urllib.parse import urlsplit

from app.errors import InvalidRequest
from app.providers.base import Account


def base_url_or(account: Account, default: str) -> str:
    """Scheme, host and path of ``account.base_url``, else ``default``. Raises ``InvalidRequest``."""
    given = account.base_url.strip().rstrip("/")
    if not given:
        return default
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidRequest(f"base_url must be like {default}", param="base_url")
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
