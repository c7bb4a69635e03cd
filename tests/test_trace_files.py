"""A reader who follows one request opens few files: counted by running one film and one chat call."""

from bench.trace_files import FileTrace, trace_film_and_chat

FILM_FILES = 87
"""From POST /v1/videos to a finished film (``openai_compatible``, SQLite)."""
CHAT_FILES = 36
"""For a relayed POST /v1/chat/completions."""


async def test_one_request_enters_few_files() -> None:
    film, chat = await trace_film_and_chat()
    assert _entered(film) <= FILM_FILES, film.by_folder()
    assert _entered(chat) <= CHAT_FILES, chat.by_folder()


def _entered(traced: FileTrace) -> int:
    return len(traced.lines)
