"""The feature endpoints keep the contract of dialects."""

import httpx2

from app.dialects.features.answer import FeaturesDialect
from tests.dialects.contract import SMALL, Document, TaskDialectContract
from tests.dialects.film_words import ALL_FORMS, ON_IMAGES, ONE_SOURCE, PROMPT, FilmRoute, Refused, data_uri

LATER = {"model": "studio", "prompt": PROMPT, "async_mode": True}
PICTURE = {"image": data_uri("image", shade=1)}
IMAGE = {"model": "gpt-image"}
STORYBOARD = "[0.5s]a door [studio:reject] [0.5s]a hall"
NO_HD = ON_IMAGES | {"hd": Refused()}


class TestFeatures(TaskDialectContract):
    dialect = FeaturesDialect()
    create_path = "/v1/videos/generate"
    bad_call = ("POST", create_path, {})
    film_routes = (
        FilmRoute("/v1/videos/generate", LATER, forms=ALL_FORMS),
        FilmRoute("/v1/videos/transform", LATER | PICTURE, fixed_model=True),
        FilmRoute("/v1/videos/remix", LATER | {"remix_target_id": "$own"}, ONE_SOURCE, fixed_model=True),
        FilmRoute("/v1/videos/storyboard", LATER | {"prompt": STORYBOARD}, {"shots": Refused(("prompt",))}),
        FilmRoute("/v1/images/generate", LATER | IMAGE, NO_HD, fixed_model=True),
        FilmRoute("/v1/images/transform", LATER | IMAGE | PICTURE, NO_HD, fixed_model=True),
    )

    def create_body(self, prompt: str) -> Document:
        return {"model": "studio", "prompt": prompt, "async_mode": True, **SMALL}

    def task_id_in(self, answer: httpx2.Response) -> str:
        return str(answer.json()["task_id"])
