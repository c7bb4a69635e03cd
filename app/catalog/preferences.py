"""Within one step of a route: the cheapest, the fastest or the most reliable accounts first, by our own figures.

Figures that are nearly equal count as equal, so that such accounts go on sharing the work. An account of which too little is
known stands beside the best one: so it gets work, and a figure.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from math import log

from app.catalog.candidates import Candidate, ExcludedAccount
from app.providers.model_facts import read_facts
from app.usage.own_figures import OwnFigures

NEAR = 1.1
"""Prices and times within a tenth of each other are equal."""
NEAR_SHARE = 0.05
USUAL_RESOLUTION = "720p"
LEAST = 1e-6


def rate_candidates(
    assessed: Sequence[Candidate | ExcludedAccount], model: str, figures: OwnFigures
) -> list[Candidate | ExcludedAccount]:
    """With their figures and merits, where their step prefers some. ``model``: the public name that is asked for."""
    known = {
        each.account.id: figure_of(each, model, figures)
        for each in assessed
        if isinstance(each, Candidate) and each.prefer is not None
    }
    best: dict[int, float] = defaultdict(lambda: float("inf"))
    for each in assessed:
        if isinstance(each, Candidate) and (figure := known.get(each.account.id)) is not None:
            best[each.order] = min(best[each.order], _merit(each, figure))
    return [
        _rated(each, known[each.account.id], best)
        if isinstance(each, Candidate) and each.account.id in known
        else each
        for each in assessed
    ]


def figure_of(candidate: Candidate, model: str, figures: OwnFigures) -> float | None:
    """US dollars a second, the median time in seconds, or the share of tasks that succeed; None where it is not known."""
    account, pair = candidate.account, (candidate.account.id, candidate.model)
    if candidate.prefer == "fastest":
        return figures.seconds.get(pair)
    if candidate.prefer == "most_reliable":
        return figures.success.get(pair)
    if not account.cost_factor:
        return 0.0
    charged = figures.dollars_per_second.get((account.id, model))
    return float(charged) if charged is not None else _listed(candidate)


def _listed(candidate: Candidate) -> float | None:
    facts = read_facts(candidate.account.provider).find_model(candidate.model)
    if facts is None or not facts.prices:
        return None
    usual = facts.rate_for(USUAL_RESOLUTION)
    return (float(usual) if usual is not None else min(facts.prices.values())) * candidate.account.cost_factor


def _rated(candidate: Candidate, figure: float | None, best: dict[int, float]) -> Candidate:
    if figure is not None:
        return replace(candidate, figure=figure, merit=_merit(candidate, figure))
    beside = best.get(candidate.order)
    return candidate if beside is None else replace(candidate, merit=beside)


def _merit(candidate: Candidate, figure: float) -> float:
    """Less is better."""
    if candidate.prefer == "most_reliable":
        return float(round((1 - figure) / NEAR_SHARE))
    return float(round(log(max(figure, LEAST)) / log(NEAR)))
