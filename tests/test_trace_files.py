"""A reader who follows one request opens few files: counted by running one film and one chat call."""

import pytest

from bench.trace_files import trace_film_and_chat

pytestmark = pytest.mark.slow

FILM_FILES = 130
"""From POST /v1/videos to a finished film (``openai_compatible``, SQLite)."""
CHAT_FILES = 53
"""For a relayed POST /v1/chat/completions."""


RUNS = 3
"""What a busy machine's timers enter meanwhile differs from run to run."""


async def test_one_request_enters_few_files() -> None:
    runs = [await trace_film_and_chat() for _ in range(RUNS)]
    for most, traced in zip((FILM_FILES, CHAT_FILES), zip(*runs, strict=True), strict=True):
        entered = set.intersection(*(set(each.lines) for each in traced))
        assert len(entered) <= most, sorted(entered)
