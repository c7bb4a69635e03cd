"""A reader who follows one request opens few files: counted by running one film and one chat call."""

import pytest

from bench.trace_files import trace_film_and_chat

pytestmark = pytest.mark.slow

FILM_FILES = 111
"""From POST /v1/videos to a finished film (``openai_compatible``, SQLite)."""
CHAT_FILES = 46
"""For a relayed POST /v1/chat/completions."""


async def test_one_request_enters_few_files() -> None:
    film, chat = await trace_film_and_chat()
    assert len(film.lines) <= FILM_FILES, film.by_folder()
    assert len(chat.lines) <= CHAT_FILES, chat.by_folder()
