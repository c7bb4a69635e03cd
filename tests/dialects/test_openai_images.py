"""The images API keeps the contract of dialects where a task makes the images."""

from typing import Any

import httpx2
import pytest
from openai import OpenAI
from openai.types import ImageGenCompletedEvent

from app.dialects.openai_images.answer import OpenAIImagesDialect
from tests.dialects.conftest import ServedGateway
from tests.dialects.contract import Document, TaskDialectContract


class TestOpenAIImages(TaskDialectContract):
    dialect = OpenAIImagesDialect()
    create_path = "/v1/images/generations"
    bad_call = ("POST", create_path, {"model": "gpt-image"})
    film_routes = ()
    test_the_webhook_gets_what_a_get_answers = None
    """It has no field for a webhook."""

    def create_body(self, prompt: str) -> Document:
        return {"model": "gpt-image", "prompt": prompt, "response_format": "url"}

    def task_id_in(self, answer: httpx2.Response) -> str:
        """Its answers name no task; a header does, and the dialect's own form of the id is accepted."""
        return f"{self.dialect.id_prefix}{answer.headers['x-task-id']}"


@pytest.mark.parametrize("model", ["gpt-image-1", "gpt-image-2", "dall-e-3"])
def test_openais_names_and_its_sdks_events(served: ServedGateway, model: str) -> None:
    """With nothing but the studio: whatever makes images serves them."""
    client = OpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0)
    words: dict[str, Any] = {
        "quality": "medium",
        "background": "opaque",
        "output_format": "png",
        "moderation": "low",
        "output_compression": 100,
    }
    stream = client.images.generate(
        model=model, prompt="[studio:fast] a boat", size="1024x1024", stream=True, **words
    )
    [event] = list(stream)
    assert isinstance(event, ImageGenCompletedEvent)
    assert ImageGenCompletedEvent.model_fields.keys() <= event.model_dump().keys()
    told = (event.size, event.quality, event.background, event.output_format)
    assert told == ("1024x1024", "medium", "opaque", "png")
    made = client.images.generate(model=model, prompt="[studio:fast] a boat", size="512x512")  # type: ignore[call-overload]
    assert (made.size, made.output_format, made.quality) == ("512x512", "png", "auto")


def test_no_film_is_made_by_a_name_of_images(served: ServedGateway) -> None:
    with served.client() as client:
        answer = client.post("/v1/videos", json={"model": "gpt-image-1", "prompt": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "model_not_found")
        chat = {"model": "dall-e-3", "messages": [{"role": "user", "content": "[studio:fast] a boat"}]}
        drawn = client.post("/v1/chat/completions", json=chat)
        assert drawn.json()["choices"][0]["message"]["content"].startswith("![")
