"""What each role may do in the panel: one table of roles and rights, and one of every route and the right it needs."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, get_args

AdminRole = Literal["owner", "operator", "finance", "viewer"]
ROLES: tuple[AdminRole, ...] = get_args(AdminRole)


class Right(StrEnum):
    OWN = "own"
    """One's own session, password and second factor."""
    READ = "read"
    """How the gateway works and what it costs: no prompt, no input, no private film, no secret."""
    CONTENT = "content"
    """What clients sent and got."""
    MONEY = "money"
    """Changes prices, and budgets of client keys and projects; sees who spends."""
    OPERATE = "operate"
    """Changes accounts, models, client keys, tasks, webhooks and what the gateway does with results."""
    SECURITY = "security"
    """Changes admins; takes, restores and schedules backups; exports the secrets of accounts."""


RIGHTS: Mapping[AdminRole, frozenset[Right]] = {
    "owner": frozenset(Right),
    "operator": frozenset(Right) - {Right.SECURITY},
    "finance": frozenset({Right.OWN, Right.READ, Right.MONEY}),
    "viewer": frozenset({Right.OWN, Right.READ}),
}

_ROUTES: Mapping[Right, tuple[str, ...]] = {
    Right.OWN: (
        "DELETE /session",
        "POST /session/password",
        "GET /sessions",
        "DELETE /sessions/{session_id}",
        "GET /session/second-factor",
        "POST /session/second-factor",
        "PUT /session/second-factor",
        "POST /session/second-factor/disable",
        "POST /session/recovery-codes",
    ),
    Right.READ: (
        "GET /accounts",
        "GET /accounts/export",
        "GET /accounts/names",
        "GET /accounts/{which}",
        "GET /admins",
        "GET /audit",
        "GET /audit.csv",
        "GET /characters",
        "GET /events",
        "GET /explain",
        "GET /keys",
        "GET /keys/names",
        "GET /keys/{key_id}",
        "GET /keys/{key_id}/endpoints",
        "GET /keys/{key_id}/statement",
        "GET /models",
        "GET /overview",
        "GET /pauses",
        "GET /playground/models",
        "GET /prices",
        "GET /projects",
        "GET /projects/{project_id}",
        "GET /projects/{project_id}/credits",
        "GET /providers",
        "GET /readiness",
        "GET /requests",
        "GET /requests.csv",
        "GET /routes",
        "GET /routes/{model}",
        "GET /settings",
        "GET /settings/{name}",
        "GET /tasks",
        "GET /tasks.csv",
        "GET /tasks.zip",  # without private films
        "GET /tasks/count",
        "GET /tasks/retry-price",
        "GET /tasks/{name}",
        "GET /usage",
        "GET /usage.csv",
        "GET /webhooks/deliveries",
        "GET /webhooks/deliveries/{delivery_id}",
        "GET /webhooks/endpoints",
    ),
    Right.CONTENT: (
        "GET /drafts",
        "GET /drafts/{draft_id}",
        "GET /tasks/{name}/inputs/{number}",
        "GET /tasks/{name}/receipt",  # a short prompt can be guessed from its hash
    ),
    Right.MONEY: (
        "PATCH /keys/{key_id}",  # of a role without the right to operate, only the budget
        "GET /spend",  # clients may name end users by their addresses
        "PATCH /projects/{project_id}",  # as of keys
        "POST /projects/{project_id}/credit",  # a signed body needs no session
        "PUT /prices/{model}",
        "DELETE /prices/{model}",
    ),
    Right.OPERATE: (
        "POST /accounts",
        "POST /accounts/bulk",
        "POST /accounts/import",
        "POST /accounts/restore",
        "POST /accounts/test",
        "POST /accounts/try",
        "PATCH /accounts/{which}",
        "DELETE /accounts/{which}",
        "POST /accounts/{which}/clear",
        "POST /accounts/{which}/disable",
        "POST /accounts/{which}/drain",
        "POST /accounts/{which}/duplicate",
        "POST /accounts/{which}/enable",
        "POST /accounts/{which}/rotate",
        "POST /accounts/{which}/test",
        "POST /characters",
        "DELETE /characters/{character_id}",
        "POST /drafts",
        "PATCH /drafts/{draft_id}",
        "DELETE /drafts/{draft_id}",
        "POST /keys",
        "DELETE /keys/{key_id}",
        "POST /keys/{key_id}/endpoints",
        "POST /keys/{key_id}/forget",
        "POST /keys/{key_id}/rotate",
        "POST /pauses",
        "POST /pauses/end",
        "POST /playground",
        "POST /playground/quote",
        "POST /projects",
        "DELETE /projects/{project_id}",
        "POST /projects/{project_id}/secret",
        "PUT /routes/{model}",
        "DELETE /routes/{model}",
        "PUT /settings/{name}",  # `backup` only by who has the right to security
        "POST /settings/delivery/test",
        "POST /settings/notices/test",
        "POST /tasks/cancel",
        "POST /tasks/replay",
        "DELETE /tasks/{name}",
        "POST /tasks/{name}/cancel",
        "POST /tasks/{name}/retry",
        "POST /tasks/{name}/settle",
        "POST /tasks/{name}/takes",
        "POST /tasks/{name}/takes/quote",
        "POST /webhooks/deliveries/{delivery_id}/resend",
        "POST /webhooks/endpoints",
        "PATCH /webhooks/endpoints/{endpoint_id}",
        "DELETE /webhooks/endpoints/{endpoint_id}",
        "POST /webhooks/endpoints/{endpoint_id}/disable",
        "POST /webhooks/endpoints/{endpoint_id}/rotate",
        "POST /webhooks/endpoints/{endpoint_id}/test",
    ),
    Right.SECURITY: (
        "POST /accounts/export",
        "POST /admins",
        "PATCH /admins/{admin_id}",
        "DELETE /admins/{admin_id}",
        "DELETE /admins/{admin_id}/second-factor",
        "POST /backup",
        "POST /restore",
        "POST /settings/backup/test",
    ),
}
ROUTE_RIGHTS: Mapping[str, Right] = {route: right for right, routes in _ROUTES.items() for route in routes}
"""By method and path, as ``PATCH /keys/{key_id}``."""


def right_for(method: str, path: str) -> Right:
    """The right that a route needs. One that is not in the table is for owners alone, and a test names it."""
    return ROUTE_RIGHTS.get(f"{method} {path}", Right.SECURITY)
