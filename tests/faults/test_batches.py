"""kill -9 in the middle of a batch: each of its lines is made and paid for once, and told once. What each leaves behind stands
in ``app/tasks/batches.py``."""

import json
from typing import Any

import httpx2
import pytest

from tests.faults.test_books import NOTHING, House, _books, house
from tests.faults.test_kill import PRICE
from tests.serving import until

pytestmark = pytest.mark.slow
__all__ = ["house"]
COUNT = 3


def begin(client: httpx2.Client) -> str:
    lines = [
        {
            "custom_id": str(n),
            "method": "POST",
            "url": "/v1/videos",
            "body": {"model": "sora-2", "prompt": f"boat {n}"},
        }
        for n in range(COUNT)
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    file = client.post("/v1/files", files={"file": ("b.jsonl", content)}, data={"purpose": "batch"}).json()
    body = {"input_file_id": file["id"], "endpoint": "/v1/videos", "completion_window": "24h"}
    return str(client.post("/v1/batches", json=body).json()["id"])


@pytest.mark.parametrize(
    ("moment", "house"),
    [
        ("reserve:after", "sqlite"),
        ("reserve:before", "postgres"),
        ("batch_lines:before", "sqlite"),
        ("batch_lines:after", "postgres"),
        ("client_files:after", "sqlite"),
    ],
    indirect=["house"],
)
def test_each_line_is_made_once_whatever_dies(house: House, moment: str) -> None:
    with house.doom(""), house.gateway.client() as client:
        batch = begin(client)  # its first look comes a second later
        house.gateway.kill()
    with house.doom(moment):
        house.died()
    with house.doom(""), house.gateway.client() as client:

        def look() -> Any:
            found = client.get(f"/v1/batches/{batch}").json()
            return found if found["status"] == "completed" else None

        done = until(look)
        assert done["request_counts"] == {"total": COUNT, "completed": COUNT, "failed": 0}
        told = client.get(f"/v1/files/{done['output_file_id']}/content").text.splitlines()
        assert [json.loads(line)["custom_id"] for line in told] == [str(n) for n in range(COUNT)]
        assert len(client.get("/v1/files").json()["data"]) == 2
    books = house.gateway.prepare(_books)
    assert (books.reserved, books.spent, books.tasks) == (NOTHING, COUNT * PRICE, COUNT)
    assert house.upstream.counters().jobs == COUNT
