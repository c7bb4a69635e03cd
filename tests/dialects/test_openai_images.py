"""The images API keeps the contract of dialects where a task makes the images."""

import httpx2

from app.dialects.openai_images.answer import OpenAIImagesDialect
from tests.dialects.contract import Document, TaskDialectContract


class TestOpenAIImages(TaskDialectContract):
    dialect = OpenAIImagesDialect()
    create_path = "/v1/images/generations"
    bad_call = ("POST", create_path, {"model": "gpt-image"})
    test_the_webhook_gets_what_a_get_answers = None
    """It has no field for a webhook."""

    def create_body(self, prompt: str) -> Document:
        return {"model": "gpt-image", "prompt": prompt, "response_format": "url"}

    def task_id_in(self, answer: httpx2.Response) -> str:
        """Its answers name no task; a header does, and the dialect's own form of the id is accepted."""
        return f"{self.dialect.id_prefix}{answer.headers['x-task-id']}"
