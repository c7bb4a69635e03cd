"""Whatever the server can tell the panel by a code has words in both languages, and each thing has one word."""

import ast
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from app import errors
from app.accounts.bulk_import import ImportOutcome
from app.admin.account_object import ReasonCode
from app.admin.transfers import RESULT_WORDS
from app.catalog.explanation import Verdict as ExplainVerdict
from app.errors import FilmgateError, Reason
from app.providers.account_checks import Verdict
from app.tasks.states import State
from app.validation import REASONS
from tests.panel.dictionary import words
from tests.serving import ROOT

LANGUAGES = ("en", "zh")


def values_of(alias: Any) -> Iterator[str]:
    """The words of a ``Literal``, or of a union of several."""
    for part in get_args(alias):
        yield from [part] if isinstance(part, str) else values_of(part)


def error_codes() -> set[str]:
    """Of every error, and those that tasks are ended with by their name."""
    classes = [
        cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, FilmgateError)
    ]
    named: set[str] = set()
    for path in (ROOT / "app" / "tasks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                named |= {
                    keyword.value.value
                    for keyword in node.keywords
                    if keyword.arg in ("code", "error_code")
                    and isinstance(keyword.value, ast.Constant)
                    and isinstance(keyword.value.value, str)
                }
    return {cls.code for cls in classes} | named | {"deadline_exceeded", "cancelled"}


WRITERS = ("note", "add_timeline_row")
NAMED_OTHERWISE = {"account", "code", "message", "dialect", "price"}
"""Details that the timeline shows without a name before them, and that of the ledger."""


def timeline_words() -> tuple[set[str], set[str]]:
    """The events of timelines and the names of their details, as far as they are written out in the code."""
    events: set[str] = set()
    details: set[str] = set()
    for folder in ("tasks", "media/delivery"):
        for path in (ROOT / "app" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    found = called_with(node)
                    events |= found[0]
                    details |= found[1]
                elif isinstance(node, ast.Assign) and any(
                    isinstance(target, ast.Name) and target.id == "detail" for target in node.targets
                ):
                    details |= keys_of(node.value)
    return events | set(values_of(State)) - {"queued"}, details - NAMED_OTHERWISE


def called_with(node: ast.Call) -> tuple[set[str], set[str]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    given = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    details = keys_of(given["detail"]) if "detail" in given else set()
    if name not in WRITERS:
        return set(), details
    told = [*node.args[:2], *([given["event"]] if "event" in given else [])]
    events = {one.value for one in told if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return events, details | (given.keys() - {"epoch", "event", "detail"})


def keys_of(node: ast.AST) -> set[str]:
    found = [key for each in ast.walk(node) if isinstance(each, ast.Dict) for key in each.keys]
    return {key.value for key in found if isinstance(key, ast.Constant) and isinstance(key.value, str)}


EVENTS, DETAILS = timeline_words()
CODES: dict[str, set[str]] = {
    "error": error_codes(),
    "reason": set(values_of(Reason)),
    "cooldown": set(values_of(ReasonCode)),
    "verdict": set(values_of(Verdict)),
    "explain": set(values_of(ExplainVerdict)),
    "state": set(values_of(State)),
    "import": set(RESULT_WORDS.values()),
    "event": EVENTS,
    "detail": DETAILS,
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("group", CODES)
def test_every_code_of_the_server_has_words(group: str, language: str) -> None:
    assert len(CODES[group]) >= 4, CODES[group]
    known = words(language)
    assert {code for code in CODES[group] if f"{group}.{code}" not in known} == set()


def test_whatever_stops_a_row_of_an_import_is_told_by_its_reason() -> None:
    assert set(get_args(ImportOutcome)) == set(RESULT_WORDS)


def test_every_reason_is_given_by_somebody() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    given = set(re.findall(r'reason="([a-z_]+)"', sources)) | set(REASONS.values()) | {"invalid_value"}
    assert set(values_of(Reason)) - given == set()


def texts(*groups: str) -> dict[str, str]:
    return {key: text for key, text in words("zh").items() if key.startswith(groups)}


@pytest.mark.parametrize(
    ("word", "because"),
    [
        ("试验台", "the playground is 操练场"),
        ("禁用", "to disable is 停用"),
        ("秘钥", "a secret is 密钥"),
        ("API key", "a client key is 令牌"),
        ("演播室", "the studio is 工作室"),
        ("帐", "an account is 账号"),
    ],
)
def test_no_second_word_for_one_thing(word: str, because: str) -> None:
    assert {key for key, text in words("zh").items() if word in text} == set(), because


def test_client_keys_and_upstream_secrets_have_different_words() -> None:
    assert {key for key, text in texts("key.", "keys.", "key_state.").items() if "密钥" in text} == set()
    of_accounts = texts("account.", "accounts.", "wizard.", "bulk.", "cooldown.", "verdict.")
    assert {key for key, text in of_accounts.items() if "令牌" in text} == set()


def test_only_webhooks_are_posted() -> None:
    """``投递`` is what webhooks and notices do; results are handed over: ``交付``."""
    others = {key for key, text in words("zh").items() if "投递" in text.replace("回调投递", "")}
    assert {key for key in others if not key.startswith(("delivery.", "webhook."))} == set()


COUNTED = re.compile(r"\{(?:n|count)\}")
SAME_FOR_ONE = {
    *(
        "models.would_use_some",
        "and_more",
        "overview.of",
        "overview.open",
        "picked",
        "playground.shot",
        "playground.shot_seconds",
    ),
    *("playground.total", "account.rpm", "key.rpm_tag", "compare.take", "import.do", "task.position"),
    *("tasks.total", "tasks.total_at_least", "tasks.retried_many", "tasks.deleted_many"),
    *("accounts.deleted", "accounts.restored", "verdict.passed", "verdict.ready", "verdict.testing"),
    *("blocked.cooling", "blocked.disabled", "blocked.disabled.until", "blocked.expired"),
    *("blocked.expired.until", *(key for key in words("en") if key.startswith("duration."))),
}
"""Texts that are right for one thing as well; looked at one by one."""


def test_one_thing_is_not_several() -> None:
    """English needs a text of its own for one: ``key.one``. Chinese may have one."""
    known = words("en")
    counted = {
        key for key, text in known.items() if COUNTED.search(text) and not key.endswith(".one")
    } - SAME_FOR_ONE
    assert {key for key in counted if f"{key}.one" not in known} == set()
    assert known.keys() >= SAME_FOR_ONE
    for key in SAME_FOR_ONE - {"duration.milliseconds"}:
        assert not re.search(r"\{(?:n|count)\} [a-z]+s\b", known[key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_for_one_thing_belongs_to_one_for_several(language: str) -> None:
    known = words(language)
    singular = {key for key in known if key.endswith(".one")}
    assert {key.removesuffix(".one") for key in singular} <= known.keys()
    assert singular <= words("en").keys()
    for key in singular:
        filled = sorted(re.findall(r"\{\w+\}", known[key]))
        others = set(re.findall(r"\{\w+\}", known[key.removesuffix(".one")])) - {"{n}"}
        assert others <= set(filled) | {"{all}"}, key
