"""Templates of requests: text, lists and tables in which ``{name}`` stands for a value."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

Template: TypeAlias = str | int | float | bool | list[Any] | dict[str, Any]
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def names_in(template: Template) -> frozenset[str]:
    """The names of all placeholders."""
    return frozenset(_find_names(template))


def _find_names(template: Template) -> Iterator[str]:
    if isinstance(template, str):
        yield from PLACEHOLDER.findall(template)
    elif isinstance(template, list | dict):
        for part in template.values() if isinstance(template, dict) else template:
            yield from _find_names(part)


def fill_template(template: Template, values: Mapping[str, Any]) -> Any:
    """A text that is one placeholder becomes the value itself, a number or a list too. What has no value (None) is left
    out of its table or list; a text that holds such a one is left out as a whole."""
    if isinstance(template, dict):
        filled = {name: fill_template(part, values) for name, part in template.items()}
        kept = {name: value for name, value in filled.items() if value is not None}
        return kept if kept or not template else None
    if isinstance(template, list):
        parts = (fill_template(part, values) for part in template)
        listed = [part for part in parts if part is not None]
        return listed if listed or not template else None
    return _fill_text(template, values) if isinstance(template, str) else template


def fill_path(template: str, values: Mapping[str, str]) -> str:
    """Values in a path are quoted."""
    return PLACEHOLDER.sub(lambda found: quote(values[found[1]], safe=""), template)


def _fill_text(template: str, values: Mapping[str, Any]) -> Any:
    whole = PLACEHOLDER.fullmatch(template)
    if whole is not None:
        return values[whole[1]]
    if any(values[name] is None for name in PLACEHOLDER.findall(template)):
        return None
    return PLACEHOLDER.sub(lambda found: str(values[found[1]]), template)
