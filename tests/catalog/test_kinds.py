"""What an operator's own model makes: by what is known of models, then by the accounts that serve it."""

from typing import Any

import pytest

from app.catalog.route_documents import read_route
from app.providers.model_facts import kind_by_name, known_vendors, read_facts
from tests.tasks.conftest import Bench

EVERYTHING = frozenset({"text", "video", "image"})


async def card_of(bench: Bench, name: str) -> tuple[str, frozenset[str]]:
    await bench.components.catalog.refresh()
    cards = {card.name: card for card in await bench.components.catalog.list_models()}
    return bench.components.catalog.kind_of(name), cards[name].kinds


@pytest.mark.parametrize(
    ("theirs", "told", "kind"),
    [
        ("wan-sgl", {}, "video"),
        ("Wan-AI/Wan2.2-T2V-A14B", {}, "video"),
        ("qwen-image-edit", {}, "image"),
        ("qwen3-max", {}, "text"),
        ("gpt-4o", {}, "text"),
        ("my-own", {"kinds": frozenset({"video"})}, "video"),
        ("wan-sgl", {"kinds": frozenset({"text"})}, "text"),
        ("doubao-seedance-2-5", {"provider": "ark"}, "video"),
        ("doubao-seed-1-8", {"provider": "ark"}, "text"),
    ],
)
@pytest.mark.parametrize("by_route", [True, False])
async def test_a_model_of_the_operator_is_what_its_upstream_makes_of_it(
    bench: Bench, theirs: str, told: dict[str, Any], kind: str, by_route: bool
) -> None:
    if by_route:
        await bench.account("farm", **told)
        line = {"account": "farm", "model": theirs}
        await bench.components.catalog.routes.put(read_route({"model": "mine", "candidates": [line]}))
    else:
        await bench.account("farm", models={"mine": theirs}, **told)
    assert await card_of(bench, "mine") == (kind, frozenset({kind}))


async def test_a_name_that_nobody_knows_may_make_what_its_account_makes(bench: Bench) -> None:
    """A chat call for it is passed through, so it counts as text; nothing is bought by mistake."""
    await bench.account("farm", models={"mine": "my-own"})
    assert await card_of(bench, "mine") == ("text", EVERYTHING)


async def test_an_account_that_states_lengths_makes_no_text(bench: Bench) -> None:
    stated = {"capabilities": {"seconds": [1, 20]}}
    await bench.account("farm", models={"mine": "my-own"}, options=stated)
    assert await card_of(bench, "mine") == ("video", EVERYTHING - {"text"})


def test_every_file_of_models_can_be_read() -> None:
    for vendor in known_vendors():
        facts = read_facts(vendor)
        assert facts.source.startswith("https://"), vendor
    assert kind_by_name("nobody/knows-this") is None
