"""How admins sign in through an OpenID Connect provider: what the operator has set, and one attempt to sign in."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from app.admin.rights import ROLES, AdminRole

ANYBODY = "*"
"""In the mapping: whoever the provider lets in."""


@dataclass(frozen=True, slots=True)
class OidcOptions:
    """``roles``: by group; the first of owner, operator, finance, viewer that one of the groups has is the role."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str
    scopes: str
    role_claim: str
    roles: Mapping[str, AdminRole]

    def role_of(self, groups: Iterable[str]) -> AdminRole | None:
        given = {self.roles.get(group) for group in (*groups, ANYBODY)}
        return next((role for role in ROLES if role in given), None)


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """What a browser that goes to the provider must bring back, and what only we know of it."""

    state: str
    nonce: str
    verifier: str = field(repr=False)
    redirect_uri: str

    def as_object(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in at the provider. ``subject`` never changes; ``name`` is for people."""

    subject: str
    name: str
    groups: frozenset[str]


class IdentityProvider(Protocol):
    """What signing in needs of a provider; ``app/admin/oidc_provider.py`` is it."""

    async def authorization_address(self, attempt: SignInAttempt) -> str:
        """Where the browser goes. Raises ``OidcUnreachable``."""

    async def identify(self, code: str, attempt: SignInAttempt) -> Identity:
        """Exchange the code. Raises ``OidcRefused`` or ``OidcUnreachable``."""

    async def close(self) -> None: ...


def read_roles(text: str) -> dict[str, AdminRole]:
    """``group=role,group=role``; a group may contain ``=``, and commas too where semicolons separate (names of LDAP).

    Raises ``ValueError``.
    """
    found: dict[str, AdminRole] = {}
    for part in (part.strip() for part in text.split(";" if ";" in text else ",") if part.strip()):
        group, _, word = part.rpartition("=")
        role = next((role for role in ROLES if role == word.strip()), None)
        if role is None or not group.strip():
            raise ValueError(f"{part} is not like group=role; roles are {', '.join(ROLES)}")
        found[group.strip()] = role
    return found
