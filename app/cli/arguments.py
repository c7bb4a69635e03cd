"""Reads arguments that are more than a word: KEY=VALUE pairs, files or stdin, environment variables."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.configuration.toml_file import read_option_file
from app.errors import InvalidRequest
from app.secret_rules import is_blank

FROM_FILE = "@"


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """The ``KEY=VALUE`` texts of ``--option``; a value that is JSON is decoded, and ``@FILE`` is the content of a TOML
    file. Raises ``InvalidRequest``."""
    options: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InvalidRequest(f"--option: {text} must be like KEY=VALUE")
        if value.startswith(FROM_FILE):
            options[name.strip()] = read_option_file(Path(value.removeprefix(FROM_FILE)))
            continue
        try:
            options[name.strip()] = json.loads(value)
        except ValueError:
            options[name.strip()] = value
    return options


def read_text(place: str, *, option: str = "") -> str:
    """The content of a file, or of stdin for ``-``. Raises ``InvalidRequest``, which names the ``option``."""
    try:
        return sys.stdin.read() if place == "-" else Path(place).read_text()
    except (OSError, UnicodeDecodeError) as error:
        source = f"{option}: {place}" if option else place
        raise InvalidRequest(f"{source} can't be read: {error}") from error


def read_variable(name: str, *, option: str) -> str:
    """The value of an environment variable. Raises ``InvalidRequest`` when it is missing or empty."""
    value = os.environ.get(name, "")
    if is_blank(value):
        raise InvalidRequest(f"{option}: there is no variable {name} in this environment, or it is empty")
    return value
