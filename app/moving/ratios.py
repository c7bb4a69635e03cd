"""Ratios and prices of new-api and one-api become prices in US dollars, where their meaning can be told.

Sources: the settings ModelRatio, CompletionRatio, ModelPrice, GroupRatio and QuotaPerUnit; in new-api also
relay/relay_task.go and relay/channel/task/*/adaptor.go, which multiply the price of a film by its seconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from app.catalog.price import ANY_SIZE
from app.moving.channels import served_models
from app.moving.fields import amount_of, number_of
from app.moving.plan import MovedPart, Peer, Remark, Row, left_out, priced
from app.moving.tokens import quota_of_dollar, ratios_of
from app.moving.vendors import PeerVendor, makes_films, vendors_of

MILLION = Decimal(1_000_000)
LARGE_SIZE, LARGE_FACTOR = "1792x1024", Decimal("1.666667")
"""new-api's factor for this size, either way round: relay/channel/task/sora/adaptor.go."""
MOST_NAMED = 5
FilmUnit = Literal["second", "call", ""]


def read_ratios(channels: Sequence[Row], options: Mapping[str, str], peer: Peer) -> Iterator[MovedPart]:
    """Prices of the models that channels serve, and what can't be told."""
    tables = {name: ratios_of(options, name) for name in ("ModelPrice", "ModelRatio", "CompletionRatio")}
    units = _film_units(channels, vendors_of(peer))
    a_dollar = quota_of_dollar(options)
    unpriced = []
    for model, unit in sorted(units.items()):
        fixed, ratio = amount_of(tables["ModelPrice"].get(model)), amount_of(tables["ModelRatio"].get(model))
        if fixed is not None:
            yield _fixed_price(model, fixed, unit)
        elif ratio is not None:
            yield _token_price(model, ratio * MILLION / a_dollar, tables["CompletionRatio"])
        else:
            unpriced.append(model)
    if unpriced:
        yield left_out("price", listed(unpriced), "no_price")
    groups = {
        name: ratio for name, ratio in ratios_of(options, "GroupRatio").items() if amount_of(ratio) != 1
    }
    if groups:
        named = ", ".join(f"{name} {ratio}" for name, ratio in sorted(groups.items()))
        yield left_out("rest", "GroupRatio", "group_ratio", ratios=named)


def listed(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" … (+{len(names) - MOST_NAMED})" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _film_units(channels: Sequence[Row], vendors: Mapping[str, PeerVendor]) -> dict[str, FilmUnit]:
    """Every model that is served, and how all channels that serve it mean the price of a film."""
    units: dict[str, set[FilmUnit]] = {}
    for row in channels:
        vendor = vendors.get(str(number_of(row.get("type"))))
        if vendor is None or not vendor.provider:
            continue
        for model in served_models(row):
            units.setdefault(model, set()).add(vendor.films)
    return {model: next(iter(meant)) if len(meant) == 1 else "" for model, meant in units.items()}


def _fixed_price(model: str, price: Decimal, unit: FilmUnit) -> MovedPart:
    if not makes_films(model) or unit == "call":
        return priced(model, {"per_call": price})
    if unit != "second":
        return left_out("price", model, "unit_unknown", price=f"{price:f}")
    rates = {ANY_SIZE: price}
    if model.startswith("sora"):
        rates[LARGE_SIZE] = (price * LARGE_FACTOR).quantize(Decimal("0.000001"))
    return priced(model, {"per_second": rates}, Remark("per_second"))


def _token_price(model: str, per_million: Decimal, completion: Mapping[str, Any]) -> MovedPart:
    factor = amount_of(completion.get(model))
    if factor is None:
        return left_out("price", model, "no_completion_ratio", price=f"{per_million.normalize():f}")
    return priced(model, {"per_million_input": per_million, "per_million_output": per_million * factor})
