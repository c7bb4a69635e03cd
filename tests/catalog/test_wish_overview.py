"""The table of wishes: what it says of a provider is what the provider's adapter does, and the page holds it."""

import asyncio
from pathlib import Path

import pytest

from app.catalog.wish_overview import WISHES, WishOverview, all_wish_overviews, wish_table
from app.providers import registry

PAGE = Path(__file__).parent.parent.parent / "docs/providers.md"
PRINTS_THE_TABLES = "docs/providers.md is out of date: replace its table of wishes by the second that `filmgate providers --markdown` prints"


@pytest.fixture(scope="module")
def overviews() -> dict[str, WishOverview]:
    return {row.name: row for row in asyncio.run(all_wish_overviews())}


def test_the_page_holds_the_table_that_the_code_gives(overviews: dict[str, WishOverview]) -> None:
    assert wish_table(overviews.values()) in PAGE.read_text(), PRINTS_THE_TABLES


def test_every_provider_that_makes_something_is_told(overviews: dict[str, WishOverview]) -> None:
    assert set(registry.PROVIDERS) - set(overviews) == {"anthropic"}, "a plain request is refused"
    assert list(overviews) == sorted(overviews)


def test_each_wish_stands_in_one_column(overviews: dict[str, WishOverview]) -> None:
    for row in overviews.values():
        assert sorted((*row.takes, *row.in_prompt, *row.refuses)) == sorted(WISHES), row.name


def test_the_columns_are_right(overviews: dict[str, WishOverview]) -> None:
    """Of a provider whose abilities its own test proves. No model of it takes every one of these wishes."""
    row = overviews["siliconflow"]
    assert {"length", "size", "first frame", "silence", "seed", "negative prompt"} <= set(row.takes)
    assert row.in_prompt == ("style", "storyboard")
    assert {"last frame", "sound", "watermark", "extend"} <= set(row.refuses)
    assert "style" in overviews["zhipu"].takes
