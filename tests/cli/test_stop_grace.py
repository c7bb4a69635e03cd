"""The time that docker-compose.yml gives a stop."""

import re
from pathlib import Path

from app.providers.http_messages import PICTURE_SECONDS, UpstreamTimeouts
from app.settings import Settings

ROOT = Path(__file__).parent.parent.parent
LAST_WRITES_SECONDS = 15.0
"""For what is recorded after the last answer."""
UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)([smh])", text))


def test_compose_kills_nobody_in_the_middle_of_a_submission() -> None:
    defaults = Settings.model_construct()
    upload = defaults.max_image_bytes / 1_000_000  # at a megabyte a second
    submission = max(defaults.submit_timeout_seconds, PICTURE_SECONDS) + 2 * UpstreamTimeouts().connect
    needed = defaults.drain_seconds + submission + upload + LAST_WRITES_SECONDS
    given = re.findall(r"stop_grace_period: (\S+)", (ROOT / "docker-compose.yml").read_text())
    assert given and all(seconds_of(each) >= needed for each in given), (given, needed)


def test_the_manual_names_the_same_time() -> None:
    manual = (ROOT / "docs" / "operating.md").read_text()
    given = re.findall(r"stop_grace_period: (\S+)", (ROOT / "docker-compose.yml").read_text())
    assert f"`stop_grace_period: {given[0]}`" in manual
    assert f"TimeoutStopSec={seconds_of(given[0]):.0f}" in manual
