"""LiteLLM's virtual keys become client keys with new secrets, as it keeps only hashes of theirs.

Source: BerriAI/litellm schema.prisma (LiteLLM_VerificationToken, LiteLLM_TeamTable, LiteLLM_BudgetTable).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.moving.fields import amount_of, is_stated, list_of, moment_of, number_of, text_of
from app.moving.plan import MovedKey, MovedPart, MovedProject, Remark, Row, left_out

DASHBOARD = "litellm-dashboard"
"""The team of sessions of its own pages."""
DAYS = frozenset({"1d", "24h"})
MONTHS = frozenset({"30d", "31d", "1mo"})
TEAM_MODELS, ALL_MODELS = "all-team-models", "all-proxy-models"
LOST_FIELDS = (
    "tpm_limit",
    "max_parallel_requests",
    "aliases",
    "model_max_budget",
    "permissions",
    "allowed_routes",
    "budget_limits",
    "organization_id",
)
SMALLEST = Decimal("0.000000001")


def read_keys(tokens: Sequence[Row], teams: Sequence[Row], budgets: Sequence[Row]) -> list[MovedPart]:
    """Client keys without secrets, and sessions that are left out."""
    teams_by_id = {text_of(team.get("team_id")): team for team in teams}
    budgets_by_id = {text_of(budget.get("budget_id")): budget for budget in budgets}
    names = Counter(_alias_of(row) for row in tokens)
    parts: list[MovedPart] = []
    spenders: dict[str, Row] = {}
    for row in tokens:
        name, there = _alias_of(row), f"{_alias_of(row)} ({text_of(row.get('key_name'))})"
        if text_of(row.get("team_id")) == DASHBOARD:
            parts.append(left_out("key", there, "session"))
            continue
        if names[name] > 1:
            name = f"{name} {text_of(row.get('token'))[:8]}"
        team = teams_by_id.get(text_of(row.get("team_id")), {})
        if team:
            spenders[text_of(row.get("team_id"))] = team
        budget = budgets_by_id.get(text_of(row.get("budget_id")), {})
        parts.append(_read_key(row, team, name=name, there=there, budget=budget))
    return [*parts, *map(_read_team, spenders.values())]


def _read_team(team: Row) -> MovedPart:
    """What all keys of a team share."""
    money, remarks = _budgets_of(team, team)
    lost = [field for field in LOST_FIELDS if is_stated(team.get(field))]
    remarks += [Remark("fields_lost", {"fields": ", ".join(lost)})] if lost else []
    terms = {"name": _team_name(team), "enabled": not team.get("blocked"), "rpm": _rate_of(team), **money}
    return MovedProject(_team_name(team), terms, tuple(remarks))


def _team_name(team: Row) -> str:
    return (text_of(team.get("team_alias")).strip() or text_of(team.get("team_id")))[:190]


def _rate_of(limits: Row) -> int | None:
    rpm = number_of(limits.get("rpm_limit"))
    return rpm if rpm > 0 else None


def _alias_of(row: Row) -> str:
    return text_of(row.get("key_alias")).strip() or f"key {text_of(row.get('token'))[:8]}"


def _read_key(row: Row, team: Row, *, name: str, there: str, budget: Row) -> MovedPart:
    limits = {field: row.get(field) if is_stated(row.get(field)) else budget.get(field) for field in ("max_budget", "budget_duration", "rpm_limit")}  # fmt: skip
    money, remarks = _budgets_of(row, limits)
    lost = [field for field in LOST_FIELDS if is_stated(row.get(field))]
    remarks += [Remark("fields_lost", {"fields": ", ".join(lost)})] if lost else []
    terms = {
        "name": name[:200],
        "project": _team_name(team or row) or None,
        "enabled": not (row.get("blocked") or team.get("blocked")),
        "expires_at": moment_of(row.get("expires")),
        "models": _models_of(row, team),
        "rpm": _rate_of(limits),
        **money,
    }
    return MovedKey(there, terms, "", (Remark("new_secret"), *remarks))


def _models_of(row: Row, team: Row) -> list[str]:
    models = [text_of(name) for name in list_of(row.get("models"))]
    if TEAM_MODELS in models or (not models and team):
        models = [text_of(name) for name in list_of(team.get("models"))]
    return [] if ALL_MODELS in models else [name for name in models if name]


def _budgets_of(row: Row, limits: Mapping[str, Any]) -> tuple[dict[str, Decimal], list[Remark]]:
    """Without a period, what is left of it; a period that is no day and no month can't be carried."""
    most, period = amount_of(limits.get("max_budget")), text_of(limits.get("budget_duration")).strip()
    if most is None or most < 0:
        return {}, []
    if not period:
        left = most - (amount_of(row.get("spend")) or Decimal(0))
        return {"budget_total": max(Decimal(0), left).quantize(SMALLEST)}, []
    if period in DAYS or period in MONTHS:
        return {"budget_daily" if period in DAYS else "budget_monthly": most.quantize(SMALLEST)}, []
    left = max(Decimal(0), most - (amount_of(row.get("spend")) or Decimal(0)))
    said = Remark("period_lost", {"period": period, "budget": f"{most:f}"})
    return {"budget_total": left.quantize(SMALLEST)}, [said]
