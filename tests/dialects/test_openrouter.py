"""OpenRouter's video API keeps the contract of dialects."""

from app.dialects.openrouter.answer import OpenRouterDialect
from tests.dialects.contract import Document, TaskDialectContract
from tests.dialects.film_words import ALL_FORMS, PROMPT, FilmRoute


class TestOpenRouter(TaskDialectContract):
    dialect = OpenRouterDialect()
    create_path = "/api/v1/videos"
    create_status = 202
    read_path = "/api/v1/videos/{}"
    task_schema = "OpenRouterVideo"
    webhook_field = "callback_url"
    bad_call = ("POST", create_path, {"model": "studio"})
    film_routes = (FilmRoute(create_path, {"model": "studio", "prompt": PROMPT}, forms=ALL_FORMS),)

    def create_body(self, prompt: str) -> Document:
        return {"model": "studio", "prompt": prompt, "duration": 1, "size": "64x64"}
