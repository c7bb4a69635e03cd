"""The feature endpoints keep the contract of dialects."""

import httpx2

from app.dialects.features.answer import FeaturesDialect
from tests.dialects.contract import SMALL, Document, TaskDialectContract


class TestFeatures(TaskDialectContract):
    dialect = FeaturesDialect()
    create_path = "/v1/videos/generate"
    bad_call = ("POST", create_path, {})

    def create_body(self, prompt: str) -> Document:
        return {"model": "studio", "prompt": prompt, "async_mode": True, **SMALL}

    def task_id_in(self, answer: httpx2.Response) -> str:
        return str(answer.json()["task_id"])
