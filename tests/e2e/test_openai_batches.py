"""OpenAI's Files and Batch APIs with its own SDK: many films in one file, and one file of answers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import openai
import pytest

from app.components import Components
from tests.serving import KEY, GatewayProcess, until
from tests.upstream import FakeUpstream

pytestmark = pytest.mark.slow
ENDPOINT: Any = "/v1/videos"
WINDOW: Literal["24h"] = "24h"


@dataclass
class Setting:
    upstream: FakeUpstream
    client: openai.OpenAI
    other: openai.OpenAI
    forgetful: openai.OpenAI
    """Its key keeps no prompts."""


async def _keys(components: Components) -> tuple[str, str]:
    return await components.keys.create("other"), await components.keys.create(
        "no prompts", keep_prompts=False
    )


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    gateway = GatewayProcess(tmp_path_factory.mktemp("batches"), FILMGATE_STUDIO="off")
    with FakeUpstream() as upstream:
        gateway.add_upstream(upstream.url)
        secrets = KEY, *gateway.prepare(_keys)
        with gateway:
            base = f"{gateway.url}/v1"
            clients = [openai.OpenAI(base_url=base, api_key=each, max_retries=0) for each in secrets]
            yield Setting(upstream, *clients)
            for client in clients:
                client.close()


def line(custom_id: str, **body: Any) -> dict[str, Any]:
    wish = {"model": "sora-2", "prompt": f"film {custom_id}"} | body
    return {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": wish}


def begun(client: openai.OpenAI, *lines: Any) -> Any:
    content = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines).encode()
    file = client.files.create(file=("wishes.jsonl", content), purpose="batch")
    assert (file.filename, file.purpose, file.bytes) == ("wishes.jsonl", "batch", len(content))
    return client.batches.create(
        input_file_id=file.id, endpoint=ENDPOINT, completion_window=WINDOW, metadata={"for": "a test"}
    )


def ended(client: openai.OpenAI, batch: Any) -> Any:
    def look() -> Any:
        found = client.batches.retrieve(batch.id)
        return found if found.status in ("completed", "failed", "cancelled", "expired") else None

    return until(look)


def answers(client: openai.OpenAI, file_id: str | None) -> dict[str, Any]:
    assert file_id is not None
    lines = client.files.content(file_id).text.splitlines()
    return {found["custom_id"]: found for found in map(json.loads, lines)}


def test_a_batch_is_made_and_told_line_by_line(setting: Setting) -> None:
    client = setting.client
    bad = line("bad", seconds="many")
    batch = begun(client, line("a"), line("b", user="u-1"), bad)
    assert batch.status == "validating" and batch.metadata == {"for": "a test"}
    done = ended(client, batch)
    assert done.status == "completed" and done.completed_at and done.in_progress_at
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (3, 2, 1)
    made = answers(client, done.output_file_id)
    assert set(made) == {"a", "b"}
    video = made["a"]["response"]["body"]
    assert (video["status"], video["prompt"], made["a"]["error"]) == ("completed", "film a", None)
    assert client.videos.retrieve(video["id"]).status == "completed" and video["url"]
    refused = answers(client, done.error_file_id)
    assert refused["bad"]["response"] is None and refused["bad"]["error"]["code"] == "invalid_request"
    assert setting.upstream.counters().prompts == {"film a": 1, "film b": 1}
    assert next(each.id for each in client.batches.list()) == batch.id
    names = {each.filename for each in client.files.list()}
    assert names == {"wishes.jsonl", f"{batch.id}_output.jsonl", f"{batch.id}_error.jsonl"}


def test_nothing_of_a_wrong_file_is_made(setting: Setting) -> None:
    before = setting.upstream.counters().jobs
    wrong = [
        *("{", "[]", json.dumps(line("a")), json.dumps(line("a")), json.dumps(line("c") | {"method": "GET"})),
        *(json.dumps(line("d") | {"url": "/v1/responses"}), json.dumps(line("e") | {"body": None})),
        json.dumps(line("")),
    ]
    failed = ended(setting.client, begun(setting.client, *wrong))
    assert failed.status == "failed" and failed.failed_at and failed.output_file_id is None
    told = [(each.line, each.code) for each in failed.errors.data]
    assert told == [
        (1, "invalid_json_line"), (2, "invalid_json_line"), (4, "duplicate_custom_id"), (5, "invalid_method"),
        (6, "invalid_url"), (7, "missing_required_parameter"), (8, "missing_required_parameter"),
    ]  # fmt: skip
    empty = ended(setting.client, begun(setting.client, " "))
    assert [each.code for each in empty.errors.data] == ["empty_file"]
    many = ended(setting.client, begun(setting.client, *["{}"] * 1001))
    assert [each.code for each in many.errors.data] == ["too_many_tasks"]
    assert setting.upstream.counters().jobs == before


def test_a_batch_that_is_cancelled_keeps_what_is_made(setting: Setting) -> None:
    client = setting.client
    setting.upstream.script(job_seconds=600, cancel="works")
    batch = begun(client, line("x"), line("y"))
    until(lambda: client.batches.retrieve(batch.id).status == "in_progress")
    with pytest.raises(openai.BadRequestError, match="reads this file"):
        client.files.delete(batch.input_file_id)
    assert client.batches.cancel(batch.id).status == "cancelling"
    done = ended(client, batch)
    assert done.status == "cancelled" and done.cancelled_at and done.cancelling_at
    assert done.request_counts.completed == 0
    setting.upstream.script()
    assert client.files.delete(batch.input_file_id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(batch.input_file_id)


def test_files_and_batches_are_their_owners(setting: Setting) -> None:
    batch = next(iter(setting.client.batches.list()))
    other = setting.other
    for ask in (
        lambda: other.batches.retrieve(batch.id),
        lambda: other.batches.cancel(batch.id),
        lambda: other.batches.create(
            input_file_id=batch.input_file_id, endpoint=ENDPOINT, completion_window=WINDOW
        ),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()
    file = next(iter(setting.client.files.list()))
    for ask in (lambda: other.files.content(file.id), lambda: other.files.delete(file.id)):
        with pytest.raises(openai.NotFoundError):
            ask()
    assert list(other.files.list()) == list(other.batches.list()) == []


def test_what_is_wrong_is_named(setting: Setting) -> None:
    client = setting.client
    file = client.files.create(file=("x.jsonl", b"{}"), purpose="batch")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"endpoint": "/v1/chat/completions"}, "endpoint"),
        ({"completion_window": "48h"}, "completion_window"),
        ({"metadata": {"a": "x" * 513}}, "metadata"),
    ]
    for change, param in wrong:
        given: Any = {"input_file_id": file.id, "endpoint": ENDPOINT, "completion_window": WINDOW} | change
        with pytest.raises(openai.BadRequestError) as refused:
            client.batches.create(**given)
        assert refused.value.param == param
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=("x.jsonl", b"{}"), purpose="fine-tune")
    assert refused.value.param == "purpose"


def test_prompts_go_with_a_batch_whose_key_keeps_none(setting: Setting) -> None:
    client = setting.forgetful
    done = ended(client, begun(client, line("secret")))
    assert done.status == "completed"
    told = answers(client, done.output_file_id)["secret"]["response"]["body"]
    assert told["status"] == "completed" and told["prompt"] is None
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(done.input_file_id)
