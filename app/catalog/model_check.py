"""Compares what the files of models say with what upstreams publish, and writes the difference as lines for the file."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.catalog.retirements import NamedModel
from app.errors import UpstreamError
from app.providers.base import Capabilities, Provider
from app.providers.model_facts import ModelFacts, read_facts

Facts = dict[str, Any]
"""Fields of ``ModelFacts`` as they stand in a file."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one model; ``ours`` is None where the file says nothing of it."""

    field: str
    ours: Any
    theirs: Any


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What came of one model. ``problem``: why its upstream could not be asked, or that it lists the model no more."""

    named: NamedModel
    differences: tuple[Difference, ...] = ()
    published: bool = False
    problem: str = ""

    def as_toml(self) -> str:
        """The model's lines as they should stand in its vendor's file."""
        facts = read_facts(self.named.account.provider).find_model(self.named.model)
        fields = _stated_fields(facts) if facts else {"kind": "video"}
        changed = {each.field: each.theirs for each in self.differences}
        if "lengths" in changed or "seconds" in changed:
            fields = {name: value for name, value in fields.items() if name not in ("lengths", "seconds")}
        lines = ["[[models]]", f"ids = [{json.dumps(self.named.model.lower())}]"]
        return "\n".join(lines + [f"{name} = {_toml(value)}" for name, value in (fields | changed).items()])


async def check_models(provider: Provider, named: Iterable[NamedModel]) -> list[ModelReport]:
    """``named``: models of the provider's account. Nothing that costs is asked."""
    try:
        listed = await provider.listed_models()
    except UpstreamError as error:
        return [ModelReport(each, problem=f"its list can't be read: {error.message}") for each in named]
    return [await _check_model(provider, each, listed) for each in named]


async def _check_model(provider: Provider, named: NamedModel, listed: frozenset[str] | None) -> ModelReport:
    try:
        published = await provider.published(named.model)
    except UpstreamError as error:
        return ModelReport(named, problem=f"what it publishes can't be read: {error.message}")
    if listed is not None and named.model not in listed and published is None:
        return ModelReport(named, problem="its upstream does not list it")
    if published is None:
        return ModelReport(named)
    facts = read_facts(named.account.provider).find_model(named.model)
    return ModelReport(named, tuple(compare_facts(facts, published)), published=True)


def compare_facts(facts: ModelFacts | None, published: Capabilities) -> list[Difference]:
    """Only what is published counts: what a vendor does not tell is no difference."""
    ours, theirs = (_stated_fields(facts) if facts else {}), _published_fields(published)
    return [
        Difference(name, ours.get(name), value)
        for name, value in theirs.items()
        if _comparable(name, ours.get(name)) != _comparable(name, value)
    ]


def _published_fields(published: Capabilities) -> Facts:
    fields: Facts = {
        "lengths": list(published.lengths),
        "seconds": list(published.seconds) if published.seconds and not published.lengths else None,
        "sizes": sorted(published.sizes),
        "tiers": dict(published.tiers),
        "ratios": list(published.ratios),
        "inputs": {role: published.most.get(role, 1) for role in sorted(published.roles)},
        "sound": published.sound,
    }
    return {name: value for name, value in fields.items() if value}


def _stated_fields(facts: ModelFacts) -> Facts:
    stated = facts.model_dump(
        mode="json", exclude_defaults=True, exclude={"ids", "starts", "checked", "source"}
    )
    return {name: list(value) if isinstance(value, tuple) else value for name, value in stated.items()}


def _comparable(name: str, value: Any) -> Any:
    """Without order, and without what lists don't tell: how many inputs of a role, how a word is written."""
    if value is None:
        return None
    if name in ("tiers", "inputs"):
        return {str(key).lower() for key in value}
    return set(value) if isinstance(value, list) and name != "seconds" else value


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_toml_key(key)} = {_toml(held)}" for key, held in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)
