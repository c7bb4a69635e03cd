"""What an upstream's list of models, which costs nothing, tells about an account's secret."""

from collections.abc import Mapping
from typing import Literal

from app.errors import UpstreamAuthFailed
from app.foreign import parse_json
from app.providers.http import UpstreamClient
from app.providers.http_errors import submit_refused
from app.providers.reading import read_error

Verdict = Literal["accepted", "refused", "reachable", "silent"]
"""``accepted`` and ``refused`` are about the secret, ``reachable`` says only that the upstream answers, ``silent`` that it
does not."""


async def look_at_start(http: UpstreamClient) -> tuple[Verdict, str]:
    """Of an upstream that lists no models. Raises ``UpstreamError``."""
    answer = await http.probe("/")
    return "reachable", f"it answers ({answer.status}), and offers nothing free to try the secret with"


async def look_at_models(
    http: UpstreamClient, path: str, headers: Mapping[str, str], *, with_secret: bool
) -> tuple[Verdict, str]:
    """``path``: of the list; ``headers`` carry the secret, where there is one. Raises ``UpstreamError``."""
    answer = await http.probe(path, headers=headers)
    if answer.status in (400, 401, 403):
        error = submit_refused(answer.status, answer.headers, read_error(parse_json(answer.content)))
        if isinstance(error, UpstreamAuthFailed):
            return "refused", f"its list of models is refused ({answer.status})"
    if answer.status in (401, 403):
        return "reachable", f"something before it answers {answer.status}, not the vendor itself"
    if answer.status >= 300:
        return "reachable", f"it answers, but with {answer.status} for its list of models"
    if parse_json(answer.content) is None:
        return "reachable", "a page answers in place of its list of models"
    if with_secret and (await http.probe(path, headers=headers, bare=True)).status < 300:
        return "reachable", "it lists its models to anybody: the first task will try the secret"
    return "accepted", "it listed its models"
