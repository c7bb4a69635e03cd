"""Finds variables that begin with ``FILMGATE_`` and set nothing, mostly because they are misspelt."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from app.settings import Settings

PREFIX = "FILMGATE_"
NAMES = frozenset(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)
# Read by the commands that call a gateway, by docker-compose.yml, and by our own tests.
OTHERS = ("FILMGATE_BASE_URL", "FILMGATE_PUBLISH", "FILMGATE_TEST_")
LIKENESS = 0.75


def unknown_settings(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Each unknown name, with the setting that was probably meant. A secret that filmgate.toml takes from a variable
    of such a name is listed too, without one."""
    return {name: _closest(name) for name in sorted(_unknown(environment))}


def describe_unknown(name: str, meant: str | None) -> str:
    return f"{name} is no setting" + (f": did you mean {meant}?" if meant else "")


def _unknown(environment: Iterable[str]) -> list[str]:
    ours = (name for name in environment if name.upper().startswith(PREFIX))
    return [name for name in ours if name.upper() not in NAMES and not name.upper().startswith(OTHERS)]


def _closest(name: str) -> str | None:
    given = name.upper()
    # A part of a longer name counts as close: FILMGATE_STORAGE for FILMGATE_STORAGE_URL.
    longer = [
        known for known in sorted(NAMES) if known.startswith(f"{given}_") or given.startswith(f"{known}_")
    ]
    return next(iter(get_close_matches(given, NAMES, n=1, cutoff=LIKENESS) or longer), None)
