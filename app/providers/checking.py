"""What can be found out about an account without making anything that costs."""

from dataclasses import dataclass
from typing import Literal

from app.providers.http import UpstreamClient
from app.providers.relay_target import RelayTarget


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """What is left on an account, in the vendor's own ``unit`` (``credits``, ``USD``)."""

    left: float
    unit: str


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """What an upstream said when it was asked for nothing that costs: ``accepted`` and ``refused`` are about the
    secret, ``reachable`` is all that could be found out, ``silent`` is no answer."""

    verdict: Literal["accepted", "refused", "reachable", "silent"]
    text: str
    balance: AccountBalance | None = None


async def check_models_list(
    http: UpstreamClient, target: RelayTarget | None, *, has_secret: bool
) -> AccountCheck:
    """Asks for the list of models at ``target``, or at least for an answer. Raises ``UpstreamError``."""
    if target is None:
        status = await http.probe_status("/")
        return AccountCheck(
            "reachable", f"it answers ({status}), and offers nothing free to try the secret with"
        )
    path = target.url.removeprefix(http.base_url)
    status = await http.probe_status(path, headers=target.headers)
    if status in (401, 403):
        return AccountCheck("refused", f"its list of models is refused ({status})")
    if status >= 300:
        return AccountCheck("reachable", f"it answers, but with {status} for its list of models")
    if has_secret and await http.probe_status(path, headers=target.headers, bare=True) < 300:
        return AccountCheck("reachable", "it lists its models to anybody: the first task will try the secret")
    return AccountCheck("accepted", "it listed its models")
