"""The language of commands whose words are for other people than the operator too: English or Chinese."""

import os
from typing import Annotated, Literal

import typer

from app.errors import InvalidRequest

Language = Literal["en", "zh"]
LanguageOption = Annotated[str | None, typer.Option(help="en or zh; else that of LANG.")]


def chosen_language(given: str | None) -> Language:
    """As given, else as the environment says, as other programs read it. Raises ``InvalidRequest``."""
    if given is None:
        said = next(
            (os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), ""
        )
        return "zh" if said.lower().startswith("zh") else "en"
    if given not in ("en", "zh"):
        raise InvalidRequest("--lang must be en or zh")
    return "zh" if given == "zh" else "en"
