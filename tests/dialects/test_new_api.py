"""new-api's video route keeps the contract of dialects."""

from app.dialects.new_api.answer import NewApiDialect
from tests.dialects.contract import SMALL, Document, TaskDialectContract


class TestNewApi(TaskDialectContract):
    dialect = NewApiDialect()
    create_path = "/v1/video/generations"
    read_path = "/v1/video/generations/{}"
    task_schema = "NewApiTask"
    bad_call = ("POST", create_path, {"model": "studio"})

    def create_body(self, prompt: str) -> Document:
        return {"model": "studio", "prompt": prompt, **SMALL}
