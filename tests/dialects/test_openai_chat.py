"""Chat completions keep the contract of dialects: they answer while the client waits, and read no task later."""

from app.dialects.openai_chat.answer import OpenAIChatDialect
from tests.dialects.contract import SMALL, Document, TaskDialectContract
from tests.dialects.film_words import PROMPT, FilmRoute


class TestOpenAIChat(TaskDialectContract):
    dialect = OpenAIChatDialect()
    create_path = "/v1/chat/completions"
    bad_call = ("POST", create_path, {"model": "sora_video2", "messages": []})
    film_routes = (
        FilmRoute(
            create_path,
            {"model": "studio", "messages": [{"role": "user", "content": PROMPT}], "stream": True},
            forms=("json", "form"),
        ),
    )

    def create_body(self, prompt: str) -> Document:
        return {"model": "sora_video2", "messages": [{"role": "user", "content": prompt}], **SMALL}
