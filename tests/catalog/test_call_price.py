"""The most that relayed calls can cost: media by what models count for them, sound by its seconds, images by number."""

import base64
import io
import wave
from decimal import Decimal
from typing import Any

import pytest

from app.catalog.call_input import PICTURE_TOKENS, REFERRED_TOKENS, SMALL_PICTURE_TOKENS, measure_input
from app.catalog.call_price import CallBody, ToldUsage, cost_of_left_call, final_cost, most_cost, read_demand
from app.catalog.price import read_price
from app.errors import InvalidRequest
from app.media.sound_length import longest_seconds

PICTURE = "data:image/png;base64," + base64.b64encode(bytes(3_000_000)).decode()
MINUTE = 60


def wav_file(seconds: int) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(bytes(16_000 * seconds))
    return content.getvalue()


def held(price: dict[str, Any], path: str, *files: bytes, **fields: Any) -> Decimal:
    read = read_price(price)
    body = CallBody({"model": "bot"} | fields, [memoryview(file) for file in files])
    return most_cost(read, read_demand(read, path, body))


def tokens_of(*parts: Any) -> int:
    return measure_input({"messages": [{"role": "user", "content": list(parts)}]}).tokens


def test_media_count_by_their_tokens_and_not_by_their_base64() -> None:
    small = {"url": PICTURE, "detail": "low"}
    assert tokens_of({"type": "image_url", "image_url": {"url": PICTURE}}) == PICTURE_TOKENS
    assert tokens_of({"type": "image_url", "image_url": small}) == SMALL_PICTURE_TOKENS
    assert tokens_of({"type": "image_url", "image_url": {"url": "https://x/y.png"}}) == PICTURE_TOKENS
    assert tokens_of({"type": "input_image", "image_url": PICTURE}) == PICTURE_TOKENS
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE.partition(",")[2]}
    assert tokens_of({"type": "image", "source": source}) == PICTURE_TOKENS
    assert tokens_of({"inlineData": {"mimeType": "image/png", "data": source["data"]}}) == PICTURE_TOKENS
    sound = {"data": base64.b64encode(wav_file(MINUTE)).decode(), "format": "wav"}
    assert tokens_of({"type": "input_audio", "input_audio": sound}) == pytest.approx(MINUTE * 32, rel=0.01)
    assert tokens_of({"type": "document", "source": {"type": "url", "url": "https://x/y"}}) == REFERRED_TOKENS
    assert tokens_of({"type": "file", "file": {"file_id": "file-1"}}) == REFERRED_TOKENS


def test_a_text_counts_by_its_bytes_wherever_it_calls_itself_a_picture() -> None:
    long = "data:image/png;base64," + "words " * 10_000
    assert measure_input({"messages": [{"content": long}]}).text_bytes > 60_000
    plain = {"type": "text", "media_type": "text/plain", "data": "words" * 10_000}
    assert measure_input({"source": plain}).text_bytes > 50_000
    assert measure_input({"content": "你好"}).text_bytes == len("content") + 6
    assert measure_input({"input": [[5] * 700, [6] * 300]}).tokens == 1000


def test_answers_are_multiplied_by_all_that_multiplies_them() -> None:
    price = {"per_million_output": 10}
    assert held(price, "chat/completions", max_tokens=100) == Decimal("0.001")
    assert held(price, "chat/completions", max_tokens=100, n=3) == Decimal("0.003")
    assert held(price, "completions", max_tokens=100, n=2, prompt=["a", "b", "c"]) == Decimal("0.006")
    assert held(price, "completions", max_tokens=100, n=2, best_of=5) == Decimal("0.01")
    assert held(price, "responses", max_output_tokens=100, thinking_budget=50) == Decimal("0.0015")
    assert held(price, "chat/completions") == Decimal("0.65536")
    assert held(price | {"most_output_tokens": 1000}, "chat/completions") == Decimal("0.01")
    assert held(price, "embeddings", input="x") == 0
    predicted = {"type": "content", "content": "x" * 1000}
    assert held(price, "chat/completions", max_tokens=100, prediction=predicted) > Decimal("0.011")


def test_images_cost_by_their_number_and_size() -> None:
    price = {"per_image": {"1024x1024": "0.04", "2048x2048": "0.1", "*": "0.02"}}
    assert held(price, "images/generations", n=3, size="1024x1024") == Decimal("0.12")
    assert held(price, "images/generations", n="3", size="1024x1024") == Decimal("0.12")
    assert held(price, "images/generations", n=100, size="512x512") == Decimal(2)
    assert held(price, "images/generations", n=2) == Decimal("0.2")
    assert held(price, "images/edits", n="2", size="auto") == Decimal("0.2")
    read = read_price(price)
    demand = read_demand(read, "images/generations", CallBody({"n": 2}))
    assert final_cost(read, demand, ToldUsage(), measured_output=0) == Decimal("0.04")


def test_sound_costs_by_its_seconds() -> None:
    price = {"per_second": "0.0001"}
    assert held(price, "audio/transcriptions", wav_file(MINUTE)) == pytest.approx(
        Decimal("0.006"), rel=Decimal("0.01")
    )
    hour = bytes(b"\xff\xfb\x10\xc4" + bytes(3600 * 4000))  # 32 kbit/s
    assert longest_seconds(hour) == pytest.approx(Decimal(3600), rel=Decimal("0.01"))
    assert longest_seconds(b"unknown" * 1000) == 7
    assert held(price, "audio/transcriptions", url="https://x/y") == Decimal("0.36")
    read = read_price(price)
    demand = read_demand(read, "audio/transcriptions", CallBody({}, [memoryview(hour)]))
    told = ToldUsage(seconds=Decimal(10))
    assert final_cost(read, demand, told, measured_output=0) == Decimal("0.001")
    assert held({"per_million_input": 15}, "audio/speech", input="x" * 1000) == Decimal("0.015255")


def test_a_wav_file_that_states_a_higher_rate_is_no_shorter() -> None:
    content = bytearray(wav_file(MINUTE))
    content[28:32] = (2**31).to_bytes(4, "little")
    assert longest_seconds(bytes(content)) == pytest.approx(Decimal(MINUTE), rel=Decimal("0.01"))


def test_work_that_ends_later_costs_what_was_held() -> None:
    read = read_price({"per_million_output": 10})
    demand = read_demand(read, "responses", CallBody({"background": True, "max_output_tokens": 1000}))
    assert final_cost(read, demand, ToldUsage(), measured_output=3) == Decimal("0.01")
    assert cost_of_left_call(read, demand, ToldUsage(written=5)) == Decimal("0.00005")


@pytest.mark.parametrize(
    ("price", "path"),
    [
        ({"per_second": 1}, "chat/completions"),
        ({"per_image": 1}, "responses"),
        ({"per_image": 1}, "audio/speech"),
        ({"per_unit": {"credits": 1}}, "embeddings"),
    ],
)
def test_a_price_whose_units_a_path_never_counts_is_refused_there(price: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest, match="does not count"):
        held(price, path)
