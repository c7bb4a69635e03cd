"""kill -9 between a task's end and its delivery: the event still arrives, with the same id."""

from pathlib import Path
from typing import Any

import pytest

from tests.serving import GatewayProcess, until
from tests.webhooks.receiver import Receiver, Reply

VIDEO = {"prompt": "[studio:fast] killed", "seconds": 1, "size": "64x64"}


def register(gateway: GatewayProcess, url: str) -> None:
    told = {"name": "films", "url": url, "event_types": ["video.completed"]}
    with gateway.client() as http:
        http.post("/v1/webhook_endpoints", json=told).raise_for_status()


def make_video(gateway: GatewayProcess) -> str:
    with gateway.client() as http:
        made: dict[str, Any] = http.post("/v1/videos", json=VIDEO).raise_for_status().json()
    return str(made["id"])


def arrived(receiver: Receiver, count: int) -> bool:
    return until(lambda: len(receiver.seen) >= count)


@pytest.mark.slow
def test_killed_while_the_receiver_ponders(tmp_path: Path) -> None:
    with Receiver(Reply(hold=True)) as receiver, GatewayProcess(tmp_path, FILMGATE_STUDIO="on") as gateway:
        register(gateway, receiver.url)
        video = make_video(gateway)
        arrived(receiver, 1)
        gateway.kill()
        gateway.start()
        arrived(receiver, 2)
        first, second = receiver.seen
        assert first.id == second.id
        assert first.body == second.body
        assert second.event["data"] == {"id": video}


@pytest.mark.slow
def test_killed_before_the_receiver_was_there(tmp_path: Path) -> None:
    with Receiver() as receiver:
        port = receiver.port
    with GatewayProcess(tmp_path, FILMGATE_STUDIO="on") as gateway:
        register(gateway, receiver.url)
        video = make_video(gateway)

        def ended() -> bool:
            with gateway.client() as http:
                return bool(http.get(f"/v1/videos/{video}").json()["status"] == "completed")

        until(ended)
        gateway.kill()
        with Receiver(port=port) as back:
            gateway.start()
            arrived(back, 1)
            assert back.seen[0].event["data"] == {"id": video}
