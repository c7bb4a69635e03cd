"""LiteLLM's deployments become accounts; its orders, weights, fallbacks and aliases become routes; its costs, prices."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from app.accounts.definition import AccountDraft
from app.catalog.route_documents import read_route
from app.errors import InvalidRequest
from app.moving.deployments import Deployment
from app.moving.fields import amount_of, document_of, is_stated, list_of, text_of
from app.moving.plan import LeftOut, MovedAccount, MovedPart, MovedRoute, Remark, left_out, priced
from app.moving.ratios import listed
from app.validation import validate_document

MILLION = Decimal(1_000_000)
LOST_SETTINGS = ("default_fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


@dataclass
class DeploymentGroup:
    """The deployments of one account; each public name once."""

    name: str
    members: list[Deployment] = field(default_factory=list)

    def has_room(self, deployment: Deployment) -> bool:
        """Whether no member serves the same public name by another model."""
        return not any(
            each.public == deployment.public and each.upstream != deployment.upstream for each in self.members
        )


def group_deployments(deployments: Sequence[Deployment]) -> list[DeploymentGroup]:
    """By credential; a name that leads to two models at one credential makes a second account of it."""
    groups: dict[tuple[str, ...], list[DeploymentGroup]] = {}
    taken: set[str] = set()
    for each in deployments:
        known = groups.setdefault(each.credential, [])
        group = next((one for one in known if one.has_room(each)), None)
        if group is None:
            group = DeploymentGroup(_free_name(each, taken))
            known.append(group)
        group.members.append(each)
    return [group for known in groups.values() for group in known]


def _free_name(deployment: Deployment, taken: set[str]) -> str:
    host = urlsplit(deployment.address).netloc
    own = deployment.address not in ("", deployment.vendor.base_url)
    base = name = f"{deployment.vendor.name} {host}" if own else deployment.vendor.name
    number = 1
    while name in taken:
        number += 1
        name = f"{base} {number}"
    taken.add(name)
    return name


def read_accounts(groups: Sequence[DeploymentGroup], *, slots: int) -> Iterator[MovedPart]:
    """An account for each group."""
    for group in groups:
        first = group.members[0]
        there = listed(list(dict.fromkeys(each.public for each in group.members)))
        values = {
            "provider": first.vendor.provider,
            "name": group.name,
            "base_url": first.address,
            "secret": first.secret,
            "models": {each.public: each.upstream for each in group.members},
            "slots": slots,
            "tags": sorted({tag for each in group.members for tag in each.tags}),
            "options": dict(first.options),
            "rpm": first.rpm if len(group.members) == 1 else None,
            "enabled": first.has_secret,
        }
        remarks = dict.fromkeys(_hashable(remark) for each in group.members for remark in each.remarks)
        found = [Remark(word, dict(pairs)) for word, pairs in remarks]
        if len(group.members) > 1 and any(each.rpm for each in group.members):
            found.append(Remark("rpm_lost"))
        try:
            draft = validate_document(AccountDraft, values, whole="account")
        except InvalidRequest as error:
            yield LeftOut(there, (Remark("invalid", {"detail": error.message}),), "account")
            continue
        yield MovedAccount(there, draft, tuple(found), named_here=True)


def _hashable(remark: Remark) -> tuple[str, tuple[tuple[str, str], ...]]:
    return remark.word, tuple(remark.values.items())


# ---- routes -----------------------------------------------------------------------------------------


def read_routes(groups: Sequence[DeploymentGroup], settings: Mapping[str, Any]) -> Iterator[MovedPart]:
    """Only where the accounts' own maps do not say it: weights, orders, fallbacks and aliases."""
    served: dict[str, list[tuple[str, Deployment]]] = {}
    for group in groups:
        for each in group.members:
            served.setdefault(each.public, []).append((group.name, each))
    fallbacks = _fallbacks_of(settings)
    for public, members in served.items():
        states_order = len(members) > 1 and any(each.order or each.weight for _, each in members)
        if states_order or public in fallbacks:
            yield _route_of(public, members, [served.get(name, []) for name in fallbacks.get(public, ())])
    for alias, target in document_of(settings.get("model_group_alias")).items():
        model = text_of(target.get("model")) if isinstance(target, Mapping) else text_of(target)
        yield _as_route(alias, {"model": alias, "alias_of": model}, ())
    lost = [name for name in LOST_SETTINGS if is_stated(settings.get(name))]
    if lost:
        yield left_out("rest", "router_settings", "fields_lost", fields=", ".join(lost))


def _fallbacks_of(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names that follow a name, in order."""
    found: dict[str, list[str]] = {}
    for entry in list_of(settings.get("fallbacks")):
        for model, following in document_of(entry).items():
            found[model] = [name for name in list_of(following) if isinstance(name, str)]
    return found


def _route_of(
    public: str,
    members: Sequence[tuple[str, Deployment]],
    following: Sequence[Sequence[tuple[str, Deployment]]],
) -> MovedPart:
    stated = sorted({each.order for _, each in members if each.order is not None})
    candidates, named, twice = [], set(), False
    lists = [(members, stated), *((further, list[int]()) for further in following)]
    base = 0
    for each_list, orders in lists:
        for account, deployment in each_list:
            step = orders.index(deployment.order) if deployment.order in orders else len(orders)
            if account in named:
                twice = True
                continue
            named.add(account)
            candidates.append(_candidate(account, deployment, order=base + step))
        base += len(orders) + 1
    return _as_route(
        public, {"model": public, "candidates": candidates}, [Remark("account_twice")] if twice else []
    )


def _candidate(account: str, deployment: Deployment, *, order: int) -> dict[str, Any]:
    line = {"account": account, "model": deployment.upstream, "order": order}
    return line | ({"weight": deployment.weight} if deployment.weight else {})


def _as_route(there: str, document: Mapping[str, Any], remarks: Sequence[Remark]) -> MovedPart:
    try:
        return MovedRoute(there, read_route(document), tuple(remarks))
    except InvalidRequest as error:
        return left_out("route", there, "invalid", detail=error.message)


# ---- prices -----------------------------------------------------------------------------------------


def read_costs(deployments: Sequence[Deployment]) -> Iterator[MovedPart]:
    """The costs that are stated for a name; those of LiteLLM's own list are not in its data."""
    costs: dict[str, Mapping[str, Any]] = {}
    for each in deployments:
        if each.costs:
            costs.setdefault(each.public, each.costs)
    for public, stated in costs.items():
        yield priced(public, _price_fields(stated))
    unpriced = sorted({each.public for each in deployments} - costs.keys())
    if unpriced:
        yield left_out("price", listed(unpriced), "no_price")


def _price_fields(costs: Mapping[str, Any]) -> dict[str, Any]:
    amounts = {name: amount_of(value) or Decimal(0) for name, value in costs.items()}
    a_second = amounts.get("output_cost_per_video_per_second") or amounts.get("output_cost_per_second")
    fields = {
        "per_million_input": amounts.get("input_cost_per_token", Decimal(0)) * MILLION,
        "per_million_output": amounts.get("output_cost_per_token", Decimal(0)) * MILLION,
        "per_second": a_second,
        "per_image": amounts.get("output_cost_per_image"),
    }
    return {name: amount for name, amount in fields.items() if amount}
