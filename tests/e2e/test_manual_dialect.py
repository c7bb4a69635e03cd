"""A key with ``videos_dialect=manual`` is answered in the words of the async-videos manual."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_clip
from tests.serving import until

KEYS = {"id", "status", "progress", "prompt", "model", "size", "seconds", "created_at", "url", "completed_at"}


@pytest.fixture(scope="module")
def manual(setting: Setting) -> Iterator[httpx2.Client]:
    """The manual sends the key without ``Bearer``."""
    with httpx2.Client(
        base_url=setting.gateway.url, headers={"authorization": setting.keys.manual}, timeout=60
    ) as client:
        yield client


def test_from_submission_to_download(manual: httpx2.Client) -> None:
    fields = {"prompt": "[studio:fast] [studio:slow=1] two foxes", "model": "sora-2", "size": "320x180"}
    made = manual.post(
        "/v1/videos",
        data=fields | {"seconds": "1"},
        files={"input_reference": ("fox.png", make_picture(), "image/png")},
        headers={"accept": "application/json"},
    )
    document = made.json()
    assert made.status_code == 200
    assert document == {
        "id": document["id"],
        "status": "submitted",
        "progress": 0,
        "prompt": fields["prompt"],
        "model": "sora-2",
        "size": "320x180",
        "seconds": "1",
        "created_at": document["created_at"],
        "url": None,
        "completed_at": None,
    }
    words = []

    def look() -> dict[str, object] | None:
        found = manual.get(f"/v1/videos/{document['id']}").json()
        assert set(found) == KEYS
        words.append(found["status"])
        return found if found["status"] == "completed" else None

    done = until(look)
    assert set(words) <= {"submitted", "in_progress", "completed"}
    assert words.index("completed") == len(words) - 1
    assert done["progress"] == 100
    assert done["completed_at"]
    with httpx2.Client() as keyless:
        assert keyless.get(str(done["url"])).headers["content-type"] == "video/mp4"
    content = manual.get(f"/v1/videos/{document['id']}/content")
    assert read_clip(content.content).size == "320x180"


def test_seconds_are_ten_unless_said(manual: httpx2.Client) -> None:
    body = {"prompt": "[studio:slow=20] x", "model": "sora-2"}
    made = manual.post("/v1/videos", json=body).json()
    assert (made["seconds"], made["size"]) == ("10", "720x1280")
    manual.delete(f"/v1/videos/{made['id']}")


def test_a_failure_is_a_string(manual: httpx2.Client) -> None:
    body = {"prompt": "[studio:moderate] x", "model": "sora-2", "seconds": "1", "size": "320x180"}
    made = manual.post("/v1/videos", json=body).json()

    def look() -> dict[str, object] | None:
        found = manual.get(f"/v1/videos/{made['id']}").json()
        return found if found["status"] == "failed" else None

    failed = until(look)
    assert isinstance(failed["error"], str)
    assert set(failed) == KEYS | {"error"}


def test_what_is_missing_is_named(manual: httpx2.Client) -> None:
    refused = manual.post("/v1/videos", data={"model": "sora-2"})
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "invalid_request"
    assert refused.json()["error"]["message"] == "prompt is required"
