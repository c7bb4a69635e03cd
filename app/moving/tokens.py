"""Tokens of new-api and one-api become client keys with the secret that their programs have already.

Sources: QuantumNous/new-api model/token.go and model/user.go, songquanpeng/one-api model/token.go and model/user.go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.errors import InvalidRequest
from app.moving.fields import amount_of, document_of, is_stated, moment_of, number_of, text_of, words_of
from app.moving.plan import MovedKey, MovedPart, MovedProject, Remark, Row, left_out
from app.secret_rules import check_token

ENABLED = 1
USABLE = frozenset({ENABLED, 3, 4})
"""Enabled; expired and used up, which an expiry and a budget say here."""
PREFIX = "sk-"
QUOTA_OF_A_DOLLAR = Decimal(500_000)
SMALLEST = Decimal("0.000000001")
DEFAULT_GROUP = "default"


@dataclass(frozen=True, slots=True)
class TokenRules:
    """How much of their unit is a US dollar; the models that each group of channels serves."""

    quota_of_a_dollar: Decimal
    models_of_groups: Mapping[str, frozenset[str]]

    def models_of(self, group: str) -> frozenset[str] | None:
        """None for a group that no channel has, and for one that serves every model."""
        models = self.models_of_groups.get(group or DEFAULT_GROUP)
        everything = frozenset[str]().union(*self.models_of_groups.values())
        return None if models == everything else models


def read_tokens(tokens: Sequence[Row], users: Sequence[Row], rules: TokenRules) -> list[MovedPart]:
    """Client keys, and tokens that are left out."""
    owners = {number_of(user.get("id")): user for user in users}
    parts: list[MovedPart] = []
    spenders: dict[int, Row] = {}
    for row in tokens:
        owner = owners.get(number_of(row.get("user_id")), {})
        there = _token_label(row, owner)
        if row.get("deleted_at") is not None or owner.get("deleted_at") is not None:
            parts.append(left_out("key", there, "deleted"))
            continue
        if owner:
            spenders[number_of(row.get("user_id"))] = owner
        terms = _key_terms(row, owner, rules)
        remarks = _limit_models(terms, _group_of(row, owner), rules)
        secret, weak = _secret_of(row)
        parts.append(MovedKey(there, terms, secret, tuple(remarks + weak)))
    return [*parts, *(_read_user(owner, rules) for owner in spenders.values())]


def _read_user(owner: Row, rules: TokenRules) -> MovedPart:
    """What a user may spend, with all tokens together."""
    name = text_of(owner.get("username"))
    budget = _dollars(owner.get("quota"), rules) if "quota" in owner else None
    return MovedProject(name, {"name": name, "enabled": _is_enabled(owner), "budget_total": budget})


def _is_enabled(owner: Row) -> bool:
    return number_of(owner.get("status", ENABLED)) == ENABLED


def _dollars(quota: Any, rules: TokenRules) -> Decimal:
    return (Decimal(max(0, number_of(quota))) / rules.quota_of_a_dollar).quantize(SMALLEST)


def quota_of_dollar(options: Mapping[str, str]) -> Decimal:
    """How much of their unit is a US dollar."""
    stated = amount_of(options.get("QuotaPerUnit"))
    return stated if stated is not None and stated > 0 else QUOTA_OF_A_DOLLAR


def _token_label(row: Row, owner: Row) -> str:
    name = text_of(row.get("name")).strip() or f"token {text_of(row.get('id'))}"
    user = text_of(owner.get("username"))
    return f"{user}/{name}" if user else name


def _key_terms(row: Row, owner: Row, rules: TokenRules) -> dict[str, Any]:
    user = text_of(owner.get("username")) or (f"user {row['user_id']}" if row.get("user_id") else "")
    return {
        "name": _token_label(row, owner)[:200],
        "project": user or None,
        "enabled": number_of(row.get("status")) in USABLE and _is_enabled(owner),
        "expires_at": moment_of(row.get("expired_time")),
        "models": _allowed_models(row),
        "networks": _allowed_networks(row),
        "budget_total": None if row.get("unlimited_quota") else _dollars(row.get("remain_quota"), rules),
    }


def _allowed_models(row: Row) -> list[str]:
    """new-api has a switch beside its list, one-api has the list alone."""
    if "model_limits" in row:
        return words_of(row.get("model_limits")) if row.get("model_limits_enabled") else []
    return words_of(row.get("models"))


def _allowed_networks(row: Row) -> list[str]:
    if "allow_ips" in row:
        return words_of(text_of(row.get("allow_ips")).replace(",", "\n").replace(" ", ""), "\n")
    return words_of(row.get("subnet"))


def _group_of(row: Row, owner: Row) -> str:
    return text_of(row.get("group")).strip() or text_of(owner.get("group")).strip()


def _limit_models(terms: dict[str, Any], group: str, rules: TokenRules) -> list[Remark]:
    """A group chooses channels there, and so models: here the key names them, so that it may use no more than before."""
    models = rules.models_of(group)
    if models is None:
        return [] if group in ("", DEFAULT_GROUP) else [Remark("group_lost", {"group": group})]
    named = [name for name in terms["models"] if name in models]
    terms["models"] = named if terms["models"] else sorted(models)
    if not terms["models"]:  # none at all would mean every model
        terms["enabled"] = False
        return [Remark("group_without_models", {"group": group or DEFAULT_GROUP})]
    return [Remark("group_as_models", {"group": group or DEFAULT_GROUP})]


def _secret_of(row: Row) -> tuple[str, list[Remark]]:
    """As clients send it; empty, with a remark, when it is missing or too easy to guess."""
    stored = text_of(row.get("key")).strip()
    if not is_stated(stored) or "*" in stored:
        return "", [Remark("new_secret")]
    secret = stored if stored.startswith(PREFIX) else PREFIX + stored
    try:
        check_token(secret, param="key")
    except InvalidRequest:
        return "", [Remark("weak_secret")]
    return secret, []


def options_of(rows: Sequence[Row]) -> dict[str, str]:
    """The table of options as a mapping."""
    return {text_of(row.get("key")): text_of(row.get("value")) for row in rows}


def ratios_of(options: Mapping[str, str], name: str) -> dict[str, Any]:
    """An option that is a JSON object of numbers by name."""
    return document_of(options.get(name))
