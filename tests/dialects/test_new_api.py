"""new-api's video route keeps the contract of dialects."""

from app.dialects.new_api.answer import NewApiDialect
from tests.dialects.contract import SMALL, Document, TaskDialectContract
from tests.dialects.film_words import ALL_FORMS, PROMPT, FilmRoute


class TestNewApi(TaskDialectContract):
    dialect = NewApiDialect()
    create_path = "/v1/video/generations"
    read_path = "/v1/video/generations/{}"
    task_schema = "NewApiTask"
    bad_call = ("POST", create_path, {"model": "studio"})
    film_routes = (FilmRoute(create_path, {"model": "studio", "prompt": PROMPT}, forms=ALL_FORMS),)

    def create_body(self, prompt: str) -> Document:
        return {"model": "studio", "prompt": prompt, **SMALL}
