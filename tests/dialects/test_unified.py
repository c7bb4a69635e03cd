"""The unified tasks keep the contract of dialects."""

import httpx2

from app.dialects.unified.answer import UnifiedDialect
from tests.dialects.contract import SMALL, Document, TaskDialectContract
from tests.dialects.film_words import ALL_FORMS, ON_IMAGES, PROMPT, FilmRoute


class TestUnified(TaskDialectContract):
    dialect = UnifiedDialect()
    create_path = "/v2/videos/generations"
    read_path = "/v2/videos/generations/{}"
    task_schema = "UnifiedTask"
    bad_call = ("POST", create_path, {"model": "studio"})
    film_routes = (
        FilmRoute(create_path, {"model": "studio", "prompt": PROMPT}, forms=ALL_FORMS),
        FilmRoute(
            "/v2/images/generations",
            {"model": "studio", "prompt": PROMPT},
            ON_IMAGES,
            fixed_model=True,
        ),
    )

    def create_body(self, prompt: str) -> Document:
        return {"model": "studio", "prompt": prompt, **SMALL}

    def task_id_in(self, answer: httpx2.Response) -> str:
        return str(answer.json()["task_id"])
