"""The source files of the panel: vendored modules, texts in both languages, size and safety of scripts."""

import hashlib
import json
import re
from pathlib import Path
from typing import get_args

import pytest

from app import errors
from app.backup import schedule_options
from app.catalog.explanation import Verdict
from app.errors import NoAvailableAccount, UpstreamError, WaitedTooLong
from app.media.delivery import options as delivery_options
from app.options import DocumentSection, OptionsDocument
from app.tasks.states import State
from app.webhooks import notice_options
from tests.panel.dictionary import PANEL, WORD, sources, words
from tests.panel.vendoring import PARTS, VENDOR
from tests.serving import ROOT

AUDITED = (
    *(
        "account",
        "admin",
        "backup",
        "character",
        "draft",
        "key",
        "price",
        "route",
        "session",
        "setting",
        "task",
    ),
    *("webhook_endpoint", "webhook_delivery"),
)
SCRIPTS = sorted(path for path in PANEL.rglob("*.js") if VENDOR not in path.parents)
LONGEST = 300
LANGUAGES = ("en", "zh")


def test_what_is_vendored_is_what_the_manifest_says() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    for part in manifest:
        assert hashlib.sha256((VENDOR / part["file"]).read_bytes()).hexdigest() == part["sha256"], part[
            "file"
        ]
        assert part["licence"] in ("MIT", "Apache-2.0", "OFL-1.1"), part
    assert {(part["name"], part["version"], part["file"]) for part in manifest} == {
        (package, version, ours) for package, version, _, ours in PARTS
    }
    known = {part["file"] for part in manifest} | {"manifest.json", "LICENCES.txt"}
    assert {path.name for path in VENDOR.iterdir()} == known


def test_every_vendored_part_has_its_licence_beside_it() -> None:
    told = (VENDOR / "LICENCES.txt").read_text()
    for package, version, _, _ in PARTS:
        assert f"{package} {version}\n=" in told


def test_vendored_scripts_import_only_each_other() -> None:
    for path in {*VENDOR.glob("*.js")} - {
        VENDOR / "swagger-ui.js"
    }:  # a bundle, with these words in its strings
        for source in re.findall(r"""(?:from|import)\s*["']([^"']+)["']""", path.read_text()):
            assert (VENDOR / source).is_file(), (path.name, source)


def test_both_languages_have_the_same_words() -> None:
    english, chinese = (
        {key: text for key, text in words(language).items() if not key.endswith(".one")}
        for language in LANGUAGES
    )
    assert english.keys() == chinese.keys()
    assert len(english) > 500
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", chinese[key])), key
        assert text.strip(), key
        assert chinese[key].strip(), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_written_twice(language: str) -> None:
    lines = [line for path in sources(language) for line in path.read_text().splitlines()]
    keys = [line.split("'")[1] for line in lines if line.startswith("  '")]
    assert len(keys) == len(set(keys)) == len(words(language))


def test_every_word_that_is_asked_for_exists() -> None:
    known = words("en")
    for path in SCRIPTS:
        for key in re.findall(r"\bt\('([\w.]+)'", path.read_text()):
            assert key in known, f"{path.relative_to(PANEL)}: {key}"


def test_the_front_page_needs_only_the_texts_of_the_first_load() -> None:
    """Nothing that it loads, and no part of the sign-in, asks for one of the others."""
    others = {key for key, _ in WORD.findall(sources("en")[1].read_text())}
    assert len(others) > 200
    loaded, wanted = (
        set[Path](),
        [PANEL / "app.js", PANEL / "pages" / "overview.js", PANEL / "holder" / "page.js"],
    )
    while wanted:
        path = wanted.pop()
        loaded.add(path)
        named = re.findall(r"""(?:from|import) '(\.[^']+)'""", path.read_text())
        wanted += {(path.parent / name).resolve() for name in named} - loaded - {*wanted}
    assert len(loaded) > 30
    for path in loaded - {*VENDOR.iterdir()}:
        asked = set(re.findall(r"'([a-z_]+(?:\.\w+)+)'", path.read_text()))
        assert asked & others == set(), path


def test_what_the_gateway_says_has_a_word() -> None:
    known = words("en")
    verdicts = {word for part in get_args(Verdict) for word in (get_args(part) or (part,))}
    failures = [
        cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, UpstreamError)
    ]
    codes = {cls.code for cls in (*failures, NoAvailableAccount, WaitedTooLong)}
    for group, values in (
        ("explain", verdicts),
        ("state", get_args(State)),
        ("event", get_args(State)),
        ("error", codes | {"deadline_exceeded", "cancelled"}),
    ):
        missing = {value for value in values if f"{group}.{value}" not in known}
        assert not missing, (group, missing)


def test_every_change_that_is_audited_has_a_word() -> None:
    known = words("en")
    sources = "".join(path.read_text() for path in (ROOT / "app" / "admin").glob("*.py"))
    actions = set(re.findall(r'"((?:' + "|".join(AUDITED) + r')s?\.[a-z_]+)"', sources))
    actions = {action for action in actions if not action.endswith(".csv")}
    assert len(actions) > 40
    assert {action for action in actions if f"audit_action.{action}" not in known} == set()


def test_files_are_short_and_say_what_they_are() -> None:
    for path in SCRIPTS:
        if PANEL / "i18n" in path.parents:
            continue
        text = path.read_text()
        assert len(text.splitlines()) <= LONGEST, path
        assert text.startswith("// "), path


def test_no_script_writes_markup() -> None:
    """The content security policy forbids it; this test finds it without a browser."""
    for path in [*SCRIPTS, PANEL / "index.html"]:
        found = re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|\son\w+=\"", path.read_text()
        )
        assert found is None, (path, found)


def test_every_section_of_a_settings_document_has_a_text() -> None:
    known = words("en")
    modules = (delivery_options, notice_options, schedule_options)
    classes = {cls for module in modules for cls in vars(module).values() if isinstance(cls, type)}
    sections = {
        cls for cls in classes if issubclass(cls, DocumentSection) and not issubclass(cls, OptionsDocument)
    }
    named = {cls.__name__ for cls in sections - {DocumentSection}}
    assert len(named) > 3
    assert {name for name in named if f"section.{name}" not in known} == set()
