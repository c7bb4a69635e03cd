"""A length or size that a model lacks becomes another one only where the operator says so."""

from typing import Any

import pytest

from app.catalog.fitting import FittingRules, fit_request
from app.catalog.presets import PRESETS
from app.catalog.route_documents import read_route
from app.catalog.upstream_request import adapt_for, find_refusal
from app.generation import GenerationRequest
from app.providers.base import Account, Capabilities
from tests.tasks.conftest import Bench

VIDEO = frozenset({"video"})
SET = Capabilities(VIDEO, seconds=(4, 12), lengths=(4, 8, 12))
RANGE = Capabilities(VIDEO, seconds=(3, 15))
TIERS = Capabilities(VIDEO, tiers={"480P": 480, "768P": 768, "4K": 2160}, ratios=("16:9", "9:16", "auto"))
SMALL = Capabilities(VIDEO, max_pixels=1280 * 720)
SIZES = Capabilities(VIDEO, sizes=frozenset({"1280x720", "720x1280", "1792x1024", "1024x1792"}))


def request(**fields: Any) -> GenerationRequest:
    return GenerationRequest.model_validate({"kind": "video", "model": "film"} | fields)


@pytest.mark.parametrize(
    ("rules", "able", "asked", "made"),
    [
        ({}, SET, 5, None),
        ({"lengths": "nearest"}, SET, 5, 4),
        ({"lengths": "nearest"}, SET, 7, 8),
        ({"lengths": "nearest"}, SET, 6, 8),
        ({"lengths": "nearest"}, SET, 40, 12),
        ({"lengths": "nearest"}, SET, 8, None),
        ({"lengths": "at_least"}, SET, 5, 8),
        ({"lengths": "at_least"}, SET, 13, None),
        ({"lengths": "at_least"}, RANGE, 1, 3),
        ({"lengths": "nearest"}, RANGE, 40, 15),
        ({"lengths": "nearest"}, Capabilities(VIDEO), 40, None),
    ],
)
def test_lengths(rules: dict[str, Any], able: Capabilities, asked: float, made: float | None) -> None:
    fitting = fit_request(request(seconds=asked), able, FittingRules(**rules))
    if made is None:
        assert fitting is None
        return
    assert fitting is not None
    assert (fitting.asked, fitting.made, fitting.trim_to) == ({"seconds": asked}, {"seconds": made}, None)


@pytest.mark.parametrize(
    ("name", "able", "made"),
    [
        ("sora2-landscape-10s", SET, 12),
        ("sora2-landscape-15s", SET, None),
        ("sora_video2", Capabilities(VIDEO, seconds=(5, 10), lengths=(5, 10)), None),
        ("sora2pro-portrait-25s", Capabilities(VIDEO, seconds=(4, 30), lengths=(4, 30)), 30),
    ],
)
def test_a_name_that_states_a_length_takes_the_next_longer_one(
    name: str, able: Capabilities, made: float | None
) -> None:
    preset = PRESETS[name]
    rules = FittingRules.of(Account("a", "p", "n"), preset)
    fitting = fit_request(request(model=name, seconds=preset.seconds), able, rules)
    assert (fitting and fitting.made["seconds"]) == made
    assert (fitting and fitting.trim_to) == (made and preset.seconds)
    # The name's length only: one that the client states otherwise is exact.
    assert fit_request(request(model=name, seconds=6), SET, rules) is None


@pytest.mark.parametrize(
    ("rules", "able", "asked", "made"),
    [
        ({}, SIZES, {"size": "1920x1080"}, None),
        ({"sizes": "nearest"}, SIZES, {"size": "1920x1080"}, {"size": "1792x1024"}),
        ({"sizes": "nearest"}, SIZES, {"size": "704x1280"}, {"size": "720x1280"}),
        ({"sizes": "at_least"}, SIZES, {"size": "1300x700"}, {"size": "1792x1024"}),
        ({"sizes": "at_least"}, SIZES, {"size": "1920x1080"}, None),
        ({}, TIERS, {"resolution": "720p"}, None),
        ({"sizes": "nearest"}, TIERS, {"resolution": "720p"}, {"resolution": "768P"}),
        ({"sizes": "nearest"}, TIERS, {"resolution": "odd"}, None),
        ({"sizes": "at_least"}, TIERS, {"resolution": "1080p"}, {"resolution": "4K"}),
        ({"sizes": "at_least"}, TIERS, {"size": "1920x1080"}, {"resolution": "4K"}),
        ({"sizes": "nearest"}, TIERS, {"aspect_ratio": "2:3"}, {"aspect_ratio": "9:16"}),
        ({}, TIERS, {"aspect_ratio": "2:3"}, None),
        ({"sizes": "nearest"}, TIERS, {"size": "1280x704"}, None),
        ({"sizes": "at_least"}, TIERS, {"size": "1280x704"}, None),
        ({"sizes": "nearest"}, TIERS, {"size": "1920x1080"}, {"resolution": "768P"}),
        ({"sizes": "nearest"}, TIERS, {"size": "854x854"}, {"aspect_ratio": "16:9"}),
        ({"sizes": "at_least"}, TIERS, {"size": "9000x9000"}, None),
        ({}, TIERS, {"size": "9000x9000"}, None),
        ({"hd": True}, TIERS, {"size": "1920x1080", "resolution": "1080p"}, {"resolution": "768P", "size": "1364x768"}),
        ({"hd": True}, Capabilities(VIDEO), {"size": "1920x1080", "resolution": "1080p"}, None),
        ({"hd": True}, SMALL, {"size": "1920x1080", "resolution": "1080p"}, {"size": "1280x720"}),
        ({"hd": True}, Capabilities(VIDEO), {"size": "1280x720"}, None),  # the client's own size
        ({"hd": True}, Capabilities(VIDEO), {}, {"resolution": "1080p"}),
        ({"hd": True}, SIZES, {"size": "1280x704", "resolution": "1080p"}, {"size": "1792x1024", "resolution": None}),
        ({"hd": True}, TIERS, {"resolution": "480p"}, {"resolution": "480P"}),
    ],
)  # fmt: skip
def test_sizes(
    rules: dict[str, Any], able: Capabilities, asked: dict[str, str], made: dict[str, str] | None
) -> None:
    fitting = fit_request(request(**asked), able, FittingRules(**rules))
    assert (fitting and fitting.made) == made
    if fitting is not None:
        assert fitting.asked == {name: asked.get(name) for name in fitting.made}


async def test_a_routes_line_stands_above_its_account_and_the_default_is_exact(bench: Bench) -> None:
    catalog, stated = bench.components.catalog, {"capabilities": {"seconds": [4, 8]}}
    await bench.account("strict", options=stated)
    await bench.account("loose", options=stated, lengths="nearest")
    await bench.account("told", options=stated)
    lines = [{"account": "strict"}, {"account": "loose"}, {"account": "told", "lengths": "at_least"}]
    await catalog.routes.put(read_route({"model": "film", "candidates": lines}))
    await catalog.refresh()
    long, short = request(seconds=20), request(seconds=1)
    refused: dict[str, tuple[bool, bool]] = {}
    for each in catalog.candidates("video", "film"):
        provider = catalog.pool.provider_for(each.account)
        refused[each.account.name] = (
            find_refusal(long, each, provider) is not None,
            find_refusal(short, each, provider) is not None,
        )
        fitted = adapt_for(short, each, provider, model="film").request.seconds
        assert fitted == (1 if each.account.name == "strict" else 4)
    assert refused == {"strict": (True, True), "loose": (False, False), "told": (True, False)}
