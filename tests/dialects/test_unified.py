"""The unified tasks keep the contract of dialects."""

import httpx2

from app.dialects.unified.answer import UnifiedDialect
from tests.dialects.contract import SMALL, Document, TaskDialectContract


class TestUnified(TaskDialectContract):
    dialect = UnifiedDialect()
    create_path = "/v2/videos/generations"
    read_path = "/v2/videos/generations/{}"
    task_schema = "UnifiedTask"
    bad_call = ("POST", create_path, {"model": "studio"})

    def create_body(self, prompt: str) -> Document:
        return {"model": "studio", "prompt": prompt, **SMALL}

    def task_id_in(self, answer: httpx2.Response) -> str:
        return str(answer.json()["task_id"])
