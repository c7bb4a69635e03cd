"""Which tests need more than this process: a server, a browser, Node.js or a gateway as a process of its own."""

from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any

import pytest

FIXTURES = frozenset({"postgres_server", "postgres_url", "redis_url", "node", "chromium"})
MARKERS = ("postgres", "redis", "node", "browser", "slow")
STARTERS = frozenset({"subprocess", "create_subprocess_exec", "Popen", "GatewayProcess"})
"""Names by which a test, or what it calls, starts a process."""
DYNAMIC = frozenset({"getfixturevalue"})
"""A test that chooses its fixtures while it runs may choose one that starts a process."""
FREE = frozenset({"tests.stores", "tests.upstream.client"})
"""Modules that may start one all the same: the store that is copied for every test is migrated once, and the fake
upstream is a thread unless ``process=True`` is passed."""


def needs_server(item: pytest.Item) -> bool:
    """Whether ``make check`` leaves this test out."""
    if any(item.get_closest_marker(name) for name in MARKERS):
        return True
    if not isinstance(item, pytest.Function):
        return False
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if FIXTURES & set(item.fixturenames) or parameters.get("database_url") == "postgres":
        return True
    fixtures = [one.func for found in item._fixtureinfo.name2fixturedefs.values() for one in found]
    if DYNAMIC & set(_names(item.function.__code__)):
        return True
    return any(starts_process(work) for work in (item.function, *fixtures))


@cache
def starts_process(work: Any) -> bool:
    """Whether ``work``, or a function or class of the tests that it names, starts a process."""
    return bool(STARTERS & _reachable_names(work, seen=set()))


def _reachable_names(work: Any, *, seen: set[Any]) -> set[str]:
    work = getattr(work, "__wrapped__", work)
    work = getattr(work, "__func__", work)
    if (
        work in seen
        or not str(getattr(work, "__module__", "")).startswith("tests.")
        or work.__module__ in FREE
    ):
        return set()
    seen.add(work)
    found: set[str] = set()
    for function in _functions(work):
        names = set(_names(function.__code__))
        found |= names
        for name in names & function.__globals__.keys():
            value = function.__globals__[name]
            if isinstance(value, FunctionType | type):
                found |= _reachable_names(value, seen=seen)
    return found


def _functions(work: Any) -> list[FunctionType]:
    if isinstance(work, FunctionType):
        return [work]
    if not isinstance(work, type):
        return []
    members = [getattr(value, "__func__", value) for value in vars(work).values()]
    return [value for value in members if isinstance(value, FunctionType)]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
        elif constant == ("process",):  # the keyword of a call
            yield "Popen"
