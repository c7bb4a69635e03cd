"""`filmgate models check` against upstreams on this machine that list their models."""

import tomllib
from pathlib import Path

import pytest

from app.providers.model_facts import VendorFacts
from tests.cli.running import inside
from tests.upstream import FakeUpstream
from tests.upstream.vendors.fal import FalServer
from tests.upstream.vendors.front import ScriptedServer
from tests.upstream.vendors.openrouter import OpenRouterServer
from tests.upstream.vendors.replicate import ReplicateServer

pytestmark = pytest.mark.slow
ALLOWED = {"FILMGATE_OUTBOUND_ALLOW": "127.0.0.1/32"}
HAILUO, SEEDANCE = "minimax/hailuo-2.3", "bytedance/seedance-2.0"


def test_what_an_upstream_publishes_otherwise_is_printed_as_lines_for_the_file(tmp_path: Path) -> None:
    with OpenRouterServer() as vendor:
        base = f"{vendor.url}/api/v1"
        names = ("--model", f"film={HAILUO}", "--model", f"clip={SEEDANCE}", "--model", "gone=nobody/film-1")
        added = inside(
            "accounts", "add", "router", "--provider", "openrouter", "--base-url", base, "--secret", "k", *names,
            data=tmp_path, **ALLOWED,
        )  # fmt: skip
        assert added.exit_code == 0, added.exception
        done = inside("models", "check", data=tmp_path, **ALLOWED)
        assert done.exit_code == 1
        for word in (HAILUO, "lengths", "6, 10", "does not list it"):
            assert word in done.stdout, done.stdout
        patched = inside("models", "check", "--patch", data=tmp_path, **ALLOWED)
    assert patched.stdout.startswith("# app/catalog/models/openrouter.toml")
    head = 'source = "https://openrouter.ai"\nchecked = 2026-11-29\n'
    facts = VendorFacts.model_validate(tomllib.loads(head + patched.stdout))
    film, clip = facts.find_model(HAILUO), facts.find_model(SEEDANCE)
    assert film is not None and clip is not None
    assert (film.lengths, film.sound, dict(film.tiers)) == ((6, 10), "never", {"768p": 768, "1080p": 1080})
    assert set(film.inputs) == {"first_frame", "reference_image"}
    # What the file knows beside the list stays.
    assert clip.inputs["reference_video"] == 10


def test_an_upstream_that_lists_names_only(tmp_path: Path) -> None:
    with FakeUpstream() as upstream:
        base = f"{upstream.url}/v1"
        for name, model in (("whole", "fake-video"), ("stale", "other")):
            inside(
                "accounts", "add", name, "--base-url", base, "--secret", "k", "--model", f"film={model}",
                data=tmp_path, **ALLOWED,
            )  # fmt: skip
        good = inside("models", "check", "whole", data=tmp_path, **ALLOWED)
        assert (good.exit_code, "publishes nothing" in good.stdout) == (0, True)
        stale = inside("models", "check", "stale", data=tmp_path, **ALLOWED)
        assert (stale.exit_code, "does not list it" in stale.stdout) == (1, True)
    away = inside("models", "check", "whole", data=tmp_path, **ALLOWED)
    assert (away.exit_code, "can't be read" in away.stdout) == (1, True)
    assert inside("models", "check", "nobody", data=tmp_path, **ALLOWED).exit_code == 1


@pytest.mark.parametrize(
    ("provider", "server", "model"),
    [
        ("fal", FalServer, "fal-ai/kling-video/v3/pro"),
        ("fal", FalServer, "fal-ai/kling-video/v3/pro/text-to-video"),
        ("replicate", ReplicateServer, "kwaivgi/kling-v3-video"),
    ],
)
def test_published_schemas_are_read(
    tmp_path: Path, provider: str, server: type[ScriptedServer], model: str
) -> None:
    with server() as vendor:
        for name, upstream in (("known", model), ("gone", "nobody/has/this" if provider == "fal" else "a/b")):
            inside(
                "accounts", "add", name, "--provider", provider, "--base-url", vendor.url, "--secret", "k",
                "--model", f"film={upstream}", data=tmp_path, **ALLOWED,
            )  # fmt: skip
        known = inside("models", "check", "known", data=tmp_path, **ALLOWED)
        assert "can't be read" not in known.stdout, known.stdout
        assert "publishes nothing" not in known.stdout
        assert known.exit_code == int("the same" not in known.stdout)
        gone = inside("models", "check", "gone", data=tmp_path, **ALLOWED)
        assert (gone.exit_code, "can't be read" in gone.stdout) == (1, True)
