"""Our own description, held against a running gateway: whatever is sent, no 5xx and no undocumented answer."""

import base64
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode

from app.main import create_app
from app.settings import Settings
from tests.e2e.footage import make_picture
from tests.security.conftest import Guarded
from tests.security.holding import CHECKS, WAYS, operations
from tests.serving import KEY

MODELS = ("sora-2", "gpt-image", "studio")
PICTURE = "data:image/png;base64," + base64.b64encode(make_picture(64, 64)).decode()
HOOK = "https://example.com/hook"
PLAUSIBLE: dict[str, Any] = {
    "size": "64x64",
    "seconds": "1",
    "duration": 10,
    "aspect_ratio": "16:9",
    "ratio": "16:9",
    "resolution": "720p",
    "style": "anime",
    "seed": 7,
    "hd": False,
    "image": PICTURE,
    "images": [PICTURE],
    "input_reference": PICTURE,
    "content": [{"type": "text", "text": "[studio:reject] a pond"}],
    "messages": [{"role": "user", "content": "[studio:reject] a pond"}],
    "notify_hook": HOOK,
    "callback_url": HOOK,
    "url": HOOK,
}
PLAIN = ("prompt", "model", "name", "stream", "stream_options", "async_mode", "watermark", "event_types")
REFUSED_AT_ONCE = "[studio:reject] "
OPERATIONS = operations(create_app(Settings(data_dir=Path("unused"))).client_api().openapi())


def cases() -> list[tuple[str, GenerationMode]]:
    """Nothing is wrong with a request that says nothing."""
    ways = [
        (name, mode) for name in OPERATIONS for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ]
    return [way for way in ways if way != ("GET /.well-known/filmgate-keys.json", GenerationMode.NEGATIVE)]


@pytest.mark.parametrize(("name", "mode"), cases(), ids=lambda each: getattr(each, "value", each))
def test_an_operation(guarded: Guarded, name: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[name]
    tasks = [guarded.foreign] if operation.method == "delete" else [guarded.own, guarded.foreign]
    with requests.Session() as session:

        @WAYS
        @given(
            case=operation.as_strategy(mode),
            task=st.sampled_from([None, *tasks]),
            model=st.sampled_from([None, *MODELS]),
        )
        def check(case: schemathesis.Case, task: str | None, model: str | None) -> None:
            if isinstance(case.body, dict):
                soften(case.body)
            if model and mode is GenerationMode.POSITIVE:
                make_plausible(case, task or tasks[0], model)
            elif task:
                name_task(case, task)
            headers = {"authorization": f"Bearer {KEY}"}
            response = case.call(base_url=guarded.gateway.url, session=session, headers=headers)
            case.validate_response(response, checks=CHECKS)

        check()


def soften(body: dict[str, Any]) -> None:
    """Leads what is asked for with the word that makes the studio refuse it, so that nothing is rendered."""
    if isinstance(body.get("prompt"), str):
        body["prompt"] = REFUSED_AT_ONCE + body["prompt"]
    for name, text in (("messages", "content"), ("content", "text")):
        parts = body.get(name)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and isinstance(part.get(text), str):
                part[text] = REFUSED_AT_ONCE + part[text]


def make_plausible(case: schemathesis.Case, task: str, model: str) -> None:
    """Random values are turned away at the door; true ones are let in."""
    name_task(case, task)
    if "scope" in (case.path_parameters or {}):
        case.path_parameters["scope"] = "images" if model == "gpt-image" else "videos"
    if not isinstance(case.body, dict):
        return
    for name in [*case.body]:
        if name in PLAUSIBLE:
            case.body[name] = PLAUSIBLE[name]
        elif name not in PLAIN:
            del case.body[name]
    if "model" in case.body:
        case.body["model"] = model
    if case.path.endswith(("edits", "extensions")):
        case.body["video"] = {"id": task}


def name_task(case: schemathesis.Case, task: str) -> None:
    if "name" in (case.path_parameters or {}):
        case.path_parameters["name"] = task
