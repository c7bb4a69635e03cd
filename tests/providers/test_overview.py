"""Rules for every provider: its contract test, its facts, its size, and its row in the docs."""

import asyncio
import importlib
import inspect
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.providers import registry
from app.providers.overview import all_overviews, markdown_table, sample_account
from tests.providers.contract import ProviderContract

ROOT = Path(__file__).parent.parent.parent
PRINTS_THE_TABLE = (
    "docs/providers.md is out of date: replace its table by what `filmgate providers --markdown` prints"
)


def test_the_docs_hold_the_table_that_the_code_gives() -> None:
    table = markdown_table(asyncio.run(all_overviews()))
    assert table in (ROOT / "docs/providers.md").read_text(), PRINTS_THE_TABLE


@pytest.mark.parametrize("name", registry.PROVIDERS)
def test_every_provider_has_its_facts(name: str) -> None:
    kind = registry.provider_class(name)
    assert kind.name == name
    assert kind.title
    assert kind.verified.startswith(("verified against ", "documented", "third party", "embedded"))
    if kind.docs_url:
        parts = urlsplit(kind.docs_url)
        assert (parts.scheme, bool(parts.hostname)) == ("https", True)
    else:
        # The relays follow the manuals of gateways, which no vendor publishes; a declaration, whatever its operator reads.
        assert kind.embedded or name in {"chat_relay", "declared", "feature_relay", "unified_relay"}


@pytest.mark.parametrize("name", registry.PROVIDERS)
def test_every_provider_has_its_contract_test(name: str) -> None:
    """``tests/providers/test_<name>.py`` with a class that inherits the contract."""
    kind = registry.provider_class(name)
    if kind.embedded or sample_kinds(name) == {"text"}:
        return  # without HTTP, or without any work to start, the contract has nothing to check
    module = importlib.import_module(f"tests.providers.test_{name}")
    suites = [
        value
        for label, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, ProviderContract) and label.startswith("Test")
    ]
    assert suites, f"tests/providers/test_{name}.py has no class that inherits ProviderContract"
    assert {getattr(suite, "provider_name", name) for suite in suites} == {name}


def sample_kinds(name: str) -> set[str]:
    (row,) = [row for row in OVERVIEWS if row.name == name]
    return set(row.makes)


OVERVIEWS = asyncio.run(all_overviews())


@pytest.mark.parametrize("name", registry.PROVIDERS)
def test_a_sample_account_works(name: str) -> None:
    account = sample_account(name)
    assert registry.provider_class(name).base_url_for(account)


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
