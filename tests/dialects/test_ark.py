"""Ark's content generation tasks keep the contract of dialects."""

from app.dialects.ark.answer import ArkDialect
from tests.dialects.contract import Document, TaskDialectContract
from tests.dialects.film_words import ALL_FORMS, PROMPT, FilmRoute


class TestArk(TaskDialectContract):
    dialect = ArkDialect()
    create_path = "/api/v3/contents/generations/tasks"
    read_path = "/api/v3/contents/generations/tasks/{}"
    task_schema = "ArkTask"
    webhook_field = "callback_url"
    bad_call = ("POST", create_path, {"model": "studio"})
    film_routes = (
        FilmRoute(
            create_path,
            {"model": "studio", "content": [{"type": "text", "text": PROMPT}]},
            forms=ALL_FORMS,
        ),
    )

    def create_body(self, prompt: str) -> Document:
        part = {"type": "text", "text": prompt}
        return {"model": "studio", "content": [part], "duration": 1, "size": "64x64"}
