"""The words of the panel in both languages, as the tests read them."""

import re
from functools import cache
from pathlib import Path

from tests.panel.vendoring import VENDOR

PANEL = VENDOR.parent
WORD = re.compile(r"^  '([^']+)':\s+'((?:[^'\\]|\\.)*)',$", re.MULTILINE)


@cache
def words(language: str) -> dict[str, str]:
    """The texts by their keys."""
    return {key: text for path in sources(language) for key, text in WORD.findall(path.read_text())}


def sources(language: str) -> list[Path]:
    """The texts of the first load, and the others."""
    return [PANEL / "i18n" / folder / f"{language}.js" for folder in ("", "further")]
