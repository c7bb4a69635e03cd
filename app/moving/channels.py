"""Channels of new-api and one-api become accounts: one for each of a channel's keys.

Sources: QuantumNous/new-api model/channel.go, songquanpeng/one-api model/channel.go.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.accounts.definition import AccountDraft
from app.catalog.presets import PRESETS
from app.errors import InvalidRequest
from app.moving.fields import document_of, is_stated, number_of, text_of, words_of
from app.moving.plan import LeftOut, MovedAccount, MovedPart, Peer, Remark, Row, left_out
from app.moving.vendors import PeerVendor, vendors_of
from app.validation import validate_document

ENABLED, AUTO_DISABLED = 1, 3
NOT_CARRIED = (
    "open_ai_organization",
    "openai_organization",
    "status_code_mapping",
    "param_override",
    "header_override",
    "system_prompt",
    "settings",
    "config",
)
"""Columns that have no counterpart here: what stands in one of them is told by its name. The first one's is another in
exports."""
MOST_TIER = 1000


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What holds for all channels. ``tiers``: by their priority there, where the highest is first."""

    peer: Peer
    vendors: Mapping[str, PeerVendor]
    tiers: Mapping[int, int]
    shared_names: frozenset[str]
    """Names that several channels have."""
    slots: int


def read_channels(rows: Sequence[Row], peer: Peer, *, slots: int) -> list[MovedPart]:
    """Accounts, and channels that are left out."""
    priorities = sorted({number_of(row.get("priority")) for row in rows}, reverse=True)
    names = Counter(text_of(row.get("name")).strip() for row in rows)
    rules = ChannelRules(
        peer=peer,
        vendors=vendors_of(peer),
        tiers={priority: min(tier, MOST_TIER) for tier, priority in enumerate(priorities)},
        shared_names=frozenset(name for name, number in names.items() if number > 1),
        slots=slots,
    )
    return [part for row in rows for part in _read_channel(row, rules)]


def served_models(row: Row) -> list[str]:
    """The public names that a channel serves."""
    return words_of(row.get("models"))


def models_by_group(rows: Sequence[Row]) -> dict[str, frozenset[str]]:
    """The models that the channels of each group serve."""
    groups: dict[str, set[str]] = {}
    for row in rows:
        for group in words_of(row.get("group")):
            groups.setdefault(group, set()).update(served_models(row))
    return {group: frozenset(models) for group, models in groups.items()}


def _read_channel(row: Row, rules: ChannelRules) -> Iterator[MovedPart]:
    there = f"{text_of(row.get('name')).strip()} (channel {text_of(row.get('id'))})".strip()
    kind = text_of(row.get("type"))
    vendor = rules.vendors.get(kind, PeerVendor(f"type {kind}"))
    if not vendor.provider:
        yield left_out("account", there, "no_adapter", vendor=vendor.name)
        return
    if not served_models(row):  # an account without models serves every one
        yield left_out("account", there, "no_models")
        return
    address = vendor.address_of(text_of(row.get("base_url")))
    if address is None:
        yield left_out("account", there, "one_endpoint", address=text_of(row.get("base_url")))
        return
    remarks = [*_losses(row), *([Remark("narrow", {"vendor": vendor.name})] if vendor.narrow else [])]
    secrets = _split_secrets(row)
    for number, (secret, is_enabled) in enumerate(secrets, 1):
        suffix = f" #{number}" if len(secrets) > 1 else ""
        values = _account_values(row, rules, vendor) | {"base_url": address, "secret": secret}
        values["name"] = _account_name(row, rules) + suffix
        values["enabled"] = values["enabled"] and is_enabled and "key" in row
        yield _as_account(there + suffix, values, remarks + _state_remarks(row, values))


def _as_account(there: str, values: Mapping[str, Any], remarks: Sequence[Remark]) -> MovedPart:
    try:
        draft = validate_document(AccountDraft, values, whole="account")
    except InvalidRequest as error:
        return LeftOut(there, (Remark("invalid", {"detail": error.message}),), "account")
    return MovedAccount(there, draft, tuple(remarks))


def _account_name(row: Row, rules: ChannelRules) -> str:
    name, number = text_of(row.get("name")).strip(), text_of(row.get("id"))
    if not name:
        return f"channel {number}"
    return f"{name} ({number})" if name in rules.shared_names else name


def _account_values(row: Row, rules: ChannelRules, vendor: PeerVendor) -> dict[str, Any]:
    models = _map_models(row, chained=rules.peer == "new-api")
    tags = {*words_of(row.get("group")), *words_of(row.get("tag"))}
    tags |= {need for name in models if name in PRESETS for need in PRESETS[name].needs}
    values = {
        "provider": vendor.provider,
        "models": models,
        "slots": rules.slots,
        "weight": max(1, number_of(row.get("weight"))),
        "tier": rules.tiers[number_of(row.get("priority"))],
        "tags": sorted(tags),
        "note": text_of(row.get("remark")).strip(),
        "proxy": _http_proxy(row),
        "enabled": number_of(row.get("status")) == ENABLED,
    }
    region = _region_of(row) if vendor.region else ""
    return values | ({"options": {vendor.region: region}} if region else {})


def _map_models(row: Row, *, chained: bool) -> dict[str, str]:
    """Public name to the upstream's. new-api follows a mapping from name to name, one-api takes one step."""
    mapping = document_of(row.get("model_mapping"))
    models: dict[str, str] = {}
    for public in served_models(row):
        name, seen = public, {public}
        while isinstance(following := mapping.get(name), str) and following.strip():
            name = following.strip()
            if not chained or name in seen:
                break
            seen.add(name)
        models[public] = name
    return models


def _split_secrets(row: Row) -> list[tuple[str, bool]]:
    """Each key of a channel, and whether it is used there."""
    text = text_of(row.get("key")).strip()
    info = document_of(row.get("channel_info"))
    listed = _listed_secrets(text) if info.get("is_multi_key") else []
    if not listed:  # also where the keys are not in an export
        return [(text, True)]
    states = document_of(info.get("multi_key_status_list"))
    return [
        (secret, number_of(states.get(str(index), ENABLED)) == ENABLED) for index, secret in enumerate(listed)
    ]


def _listed_secrets(text: str) -> list[str]:
    """One a line, or a JSON array of documents, as of service accounts."""
    if text.startswith("["):
        try:
            listed = json.loads(text)
        except ValueError:
            listed = None
        if isinstance(listed, list):
            return [each if isinstance(each, str) else json.dumps(each) for each in listed]
    return [line.strip() for line in text.splitlines() if line.strip()]


def _http_proxy(row: Row) -> str | None:
    proxy = text_of(document_of(row.get("setting")).get("proxy")).strip()
    return proxy if urlsplit(proxy).scheme in ("http", "https") else None


def _region_of(row: Row) -> str:
    """The field is a region, or an object of regions by model."""
    other = text_of(row.get("other")).strip()
    return text_of(document_of(other).get("default")) if other.startswith("{") else other


def _losses(row: Row) -> list[Remark]:
    """What of a channel has no counterpart here."""
    setting = document_of(row.get("setting"))
    lost = [name for name in NOT_CARRIED if is_stated(row.get(name))]
    lost += [f"setting.{name}" for name, value in setting.items() if name != "proxy" and value]
    remarks = [Remark("fields_lost", {"fields": ", ".join(lost)})] if lost else []
    if is_stated(setting.get("proxy")) and _http_proxy(row) is None:
        remarks.append(Remark("proxy_lost"))
    return remarks


def _state_remarks(row: Row, values: Mapping[str, Any]) -> list[Remark]:
    remarks = []
    if not values["secret"] and "key" not in row:
        return [Remark("secret_missing")]
    if number_of(row.get("status")) == AUTO_DISABLED:
        remarks.append(Remark("auto_disabled"))
    elif not values["enabled"]:
        remarks.append(Remark("disabled"))
    return remarks
