"""How many of its accounts each model has at this moment, and what blocks the others: what an operator looks at first."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app import clock
from app.catalog.candidates import ANY_MODEL, Candidate
from app.catalog.catalog import Catalog
from app.catalog.route_documents import FAMILY
from app.catalog.waits import BlockCount
from app.generation import Kind

MOST_MODELS = 80
FIRST_MODEL = "sora-2"
"""What programs ask for first: shown also where nothing names it."""


@dataclass(frozen=True, slots=True)
class ModelReadiness:
    """Of the ``accounts`` that the operator has for a model, ``ready`` may take work, ``full`` of these have no free slot, and
    the others are counted by what blocks them."""

    model: str
    kind: Kind
    accounts: int
    ready: int
    full: int
    blocked: BlockCount


async def read_readiness(
    catalog: Catalog, wanted: Mapping[str, Kind | None], slots_taken: Mapping[str, int]
) -> list[ModelReadiness]:
    """The models of ``wanted`` (name to kind, where that is known) first, then those that routes and accounts name.
    ``slots_taken`` by account id."""
    await catalog.current_statuses()
    found: list[ModelReadiness] = []
    for model in dict.fromkeys([*wanted, *_named_models(catalog)]):
        if len(found) == MOST_MODELS:
            break
        kind = wanted.get(model) or catalog.kind_of(model)
        readiness = _readiness(catalog, kind, model, slots_taken=slots_taken)
        if readiness.accounts or model in wanted:
            found.append(readiness)
        await asyncio.sleep(0)  # a look at thousands of accounts for each model: others go on in between
    return found


def _named_models(catalog: Catalog) -> Iterable[str]:
    for name, route in catalog.routes.documents.items():
        if route.enabled and not route.alias_of and not name.endswith(FAMILY):
            yield name
    for status in catalog.pool.cached_statuses():
        yield from (name for name in status.account.models if name != ANY_MODEL)
    yield FIRST_MODEL


def _readiness(catalog: Catalog, kind: Kind, model: str, *, slots_taken: Mapping[str, int]) -> ModelReadiness:
    now, assessed = clock.now(), catalog.assessed_accounts(kind, model)
    serving = [each for each in assessed if isinstance(each, Candidate)]
    ready = [each for each in serving if each.status.blocked_by(each.model, now) is None]
    full = [each for each in ready if slots_taken.get(each.account.id, 0) >= each.account.slots]
    return ModelReadiness(
        model,
        kind,
        accounts=len(serving),
        ready=len(ready),
        full=0 if kind == "text" else len(full),
        blocked=BlockCount.of(serving, now),
    )
