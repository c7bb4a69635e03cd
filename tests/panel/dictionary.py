"""The words of the panel in both languages, as the tests read them."""

import re
from functools import cache

from tests.panel.vendoring import VENDOR

PANEL = VENDOR.parent
WORD = re.compile(r"^  '([^']+)':\s+'((?:[^'\\]|\\.)*)',$", re.MULTILINE)


@cache
def words(language: str) -> dict[str, str]:
    """The texts by their keys."""
    return dict(WORD.findall((PANEL / "i18n" / f"{language}.js").read_text()))
