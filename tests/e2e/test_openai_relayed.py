"""What OpenAI's Python SDK does beside videos: relayed where the upstream speaks it, images also by a task."""

import base64
import io
import json
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_picture
from tests.upstream.media import tiny_png
from tests.upstream.vendors.openai_words import SAID, SOUND, WORDS

MODEL = "house-words"
RELAYED, MADE = "house-image", "gpt-image"


def sent(setting: Setting) -> dict[str, Any]:
    """The body that reached the upstream."""
    found: dict[str, Any] = json.loads(setting.words.seen[-1].body)
    return found


def test_responses(client: OpenAI, setting: Setting) -> None:
    answer = client.responses.create(model=MODEL, input="hi", instructions="Be kind.")
    assert (answer.output_text, answer.status) == (SAID, "completed")
    assert sent(setting) == {"model": "vendor-words", "input": "hi", "instructions": "Be kind."}
    with client.responses.stream(model=MODEL, input="hi") as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert stream.get_final_response().output_text == SAID
    assert pieces == list(WORDS)


def test_completions_and_moderations(client: OpenAI) -> None:
    assert client.completions.create(model=MODEL, prompt="hi").choices[0].text == SAID
    [judged] = client.moderations.create(model=MODEL, input="a fight").results
    assert judged.flagged


def test_tools_of_a_chat(client: OpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}
    [call] = client.chat.completions.create(**asked).choices[0].message.tool_calls or []
    assert (call.type, call.function.name) == ("function", "weather")
    with client.chat.completions.stream(**asked) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls and json.loads(message.tool_calls[0].function.arguments) == {"city": "Oslo"}


def test_speech(client: OpenAI, setting: Setting) -> None:
    with client.audio.speech.with_streaming_response.create(
        model=MODEL, voice="alloy", input="hi", response_format="mp3"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert b"".join(answer.iter_bytes()) == SOUND
    assert sent(setting)["model"] == "vendor-words"


def test_transcriptions_and_translations(client: OpenAI, setting: Setting) -> None:
    file = ("said.wav", SOUND, "audio/wav")
    written = client.audio.transcriptions.create(
        model=MODEL, file=file, timestamp_granularities=["word"], language="en"
    )
    assert written.text == SAID
    body = setting.words.seen[-1].body
    assert SOUND in body and b"vendor-words" in body and b'name="timestamp_granularities[]"' in body
    assert client.audio.transcriptions.create(model=MODEL, file=file, response_format="text") == SAID
    with pytest.deprecated_call():
        assert client.audio.translations.create(model=MODEL, file=file).text == SAID


@pytest.mark.parametrize("encoding", ["float", None], ids=["float", "base64 by default"])
def test_embeddings(client: OpenAI, encoding: Any) -> None:
    options = {"encoding_format": encoding} if encoding else {}
    answer = client.embeddings.create(model="house-embedding", input=["one", "two"], **options)
    assert [item.embedding for item in answer.data] == [[0.25, -0.5, 0.75, 1.0]] * 2


def test_images_relayed(client: OpenAI, setting: Setting) -> None:
    made = client.images.generate(model=RELAYED, prompt="an owl", quality="low", size="1024x1024")
    assert made.data and base64.b64decode(made.data[0].b64_json or "") == tiny_png()
    assert sent(setting) == {
        "model": "gpt-image-house", "prompt": "an owl", "quality": "low", "size": "1024x1024",
    }  # fmt: skip
    pictures = [io.BytesIO(make_picture(64, 64)) for _ in range(2)]
    edited = client.images.edit(model=RELAYED, image=pictures, prompt="at night")
    assert edited.data and edited.data[0].b64_json
    assert setting.words.seen[-1].body.count(b'name="image[]"') == 2


def test_images_made_by_a_task(client: OpenAI) -> None:
    made = client.images.generate(model=MADE, prompt="an owl", n=2, response_format="b64_json")
    pictures = [base64.b64decode(image.b64_json or "") for image in made.data or []]
    assert [read_picture(picture) for picture in pictures] == [("png", 360, 360)] * 2
    seeded = client.images.generate(
        model=MADE, prompt="an owl", n=2, response_format="b64_json", extra_body={"seed": 7}
    )
    assert len({image.b64_json for image in seeded.data or []}) == 2  # one seed is one picture
    edited = client.images.edit(
        model=MADE, image=make_picture(64, 64), prompt="at night", response_format="url"
    )
    assert edited.data and (edited.data[0].url or "").startswith("http")
    assert edited.data[0].b64_json is None


def test_images_made_by_a_task_and_streamed(client: OpenAI) -> None:
    stream = client.images.generate(model=MADE, prompt="an owl", stream=True)
    [event] = list(stream)
    assert event.type == "image_generation.completed"
    assert read_picture(base64.b64decode(event.b64_json))[0] == "png"


def test_an_image_that_fails(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.images.generate(model=MADE, prompt="[studio:moderate] an owl")
    assert refused.value.code == "content_policy_violation"
