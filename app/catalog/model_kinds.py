"""What a model makes at one account, where its public name does not say."""

from app.generation import Kind
from app.providers.base import Provider
from app.providers.model_facts import kind_by_name


def kinds_at(provider: Provider, upstream_model: str, *, used_for: frozenset[Kind]) -> frozenset[Kind]:
    """What the account may make of ``upstream_model``; several where nobody knows.

    The adapter knows its vendor's models. Where it would pass any name on, the files of models know names that many
    servers offer. ``used_for`` bounds both: what the account makes at all.
    """
    able = provider.capabilities(upstream_model)
    made = able.kinds & used_for or used_for
    if len(made) == 1:
        return made
    known = kind_by_name(upstream_model)
    if known in made:
        return frozenset({known})
    stated = able.seconds or able.lengths or able.sizes or able.max_pixels
    return made - {"text"} if stated else made
