"""Volcengine's request signature (HMAC-SHA256): https://www.volcengine.com/docs/6369/67269"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from app.providers.transport import OutgoingRequest

ALGORITHM = "HMAC-SHA256"


def signed_headers(
    request: OutgoingRequest, keys: tuple[str, str], *, service: str, region: str, now: datetime
) -> Mapping[str, str]:
    """The headers that sign ``request`` with ``keys`` (access key, secret key); ``now`` in UTC."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    assert isinstance(request.content, bytes)
    digest = hashlib.sha256(request.content).hexdigest()
    covered = {
        "content-type": request.headers["content-type"],
        "host": request.url.host_port_subcomponent or "",
        "x-content-sha256": digest,
        "x-date": moment,
    }
    names = ";".join(covered)
    parts = (
        request.method,
        quote(request.url.path, safe="/-_.~"),
        "&".join(
            sorted(
                f"{_percent_encoded(name)}={_percent_encoded(value)}"
                for name, value in request.url.query.items()
            )
        ),
        "".join(f"{name}:{value}\n" for name, value in covered.items()),
        names,
        digest,
    )
    scope = f"{moment[:8]}/{region}/{service}/request"
    canonical = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    access, secret = keys
    # AWS, whose scheme this is, puts a prefix before the secret; Volcengine does not.
    key = secret.encode()
    for word in (moment[:8], region, service, "request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    signed = hmac.new(key, "\n".join((ALGORITHM, moment, scope, canonical)).encode(), hashlib.sha256)
    return {
        "X-Date": moment,
        "X-Content-Sha256": digest,
        "Authorization": f"{ALGORITHM} Credential={access}/{scope}, SignedHeaders={names}, "
        f"Signature={signed.hexdigest()}",
    }


def _percent_encoded(text: str) -> str:
    return quote(text, safe="-_.~")
