"""The table of providers in the docs is the one that the code gives; every provider keeps to the same bounds."""

import asyncio
from pathlib import Path

import pytest

from app.providers import registry
from app.providers.overview import all_overviews, markdown_table

ROOT = Path(__file__).parent.parent.parent


def test_the_docs_hold_the_table_that_the_code_gives() -> None:
    assert markdown_table(asyncio.run(all_overviews())) in (ROOT / "docs/providers.md").read_text()


@pytest.mark.parametrize("name", registry.PROVIDERS)
def test_every_provider_says_how_sure_we_are(name: str) -> None:
    said = registry.provider_class(name).verified
    assert said.startswith(("verified against ", "documented", "third party", "embedded"))


def test_the_list_is_alphabetical() -> None:
    assert list(registry.PROVIDERS) == sorted(registry.PROVIDERS)


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (ROOT / "app/providers").glob("*/*.py") if path.parent.name != "studio"),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_adapter_is_short(path: Path) -> None:
    """What all share is bounded by the house rules; everything that maps a vendor stays readable at one sitting."""
    assert len(path.read_text().splitlines()) <= 200
