"""A client's key: who it is, what it may use, how much and from where."""

from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from app.errors import AddressNotAllowed, ModelNotAllowed

Network = IPv4Network | IPv6Network
FAMILY_END = "*"


@dataclass(frozen=True, slots=True)
class ClientKey:
    """Times are UTC seconds, budgets US dollars; None is without a limit."""

    id: str
    name: str
    owner: str
    """The project, or the key itself: who sees its tasks."""
    enabled: bool = True
    expires_at: float | None = None
    created_at: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    project: str | None = None
    models: tuple[str, ...] = ()
    """Names, or families like ``veo*``; none: all."""
    networks: tuple[Network, ...] = ()
    """Where it may be used from; none: anywhere."""
    rpm: int | None = None
    """Requests in any minute; looking at what was made is not counted."""
    tasks_limit: int | None = None
    """Tasks that have not ended."""
    budget_total: Decimal | None = None
    budget_daily: Decimal | None = None
    budget_monthly: Decimal | None = None
    note: str = ""
    source: str = "store"
    """``file``: declared in the configuration, and changed only there."""
    old_until: float | None = None
    """Until when the secret before the last rotation still works."""

    @property
    def has_budget(self) -> bool:
        return not (self.budget_total is self.budget_daily is self.budget_monthly is None)

    def may_use(self, model: str) -> bool:
        return not self.models or any(_matches_model(name, model) for name in self.models)

    def require_model(self, model: str) -> None:
        """Raises ``ModelNotAllowed``."""
        if self.models and not self.may_use(model):
            raise ModelNotAllowed(model)

    def require_address(self, address: str | None) -> None:
        """Raises ``AddressNotAllowed``, also when nobody knows where the client is."""
        if self.networks and not _is_inside(self.networks, address):
            raise AddressNotAllowed


def _matches_model(name: str, model: str) -> bool:
    return model.startswith(name[:-1]) if name.endswith(FAMILY_END) else model == name


def _is_inside(networks: tuple[Network, ...], address: str | None) -> bool:
    try:
        found: IPv4Address | IPv6Address = ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped  # how a socket for both families names an IPv4 client
    return any(found in network for network in networks)
