"""A gateway with the guard shut and a small body limit, for everything that must be refused."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest

from app.components import Components
from tests.e2e.footage import make_picture
from tests.serving import GatewayProcess, until

BODY_LIMIT = 400_000


@dataclass(frozen=True)
class Guarded:
    """``foreign`` is a finished task of somebody else, ``own`` one of ours; the others are somebody else's."""

    gateway: GatewayProcess
    disabled: str
    foreign: str
    own: str
    character: str
    file: str
    batch: str


async def _keys(components: Components) -> tuple[str, str]:
    disabled = await components.keys.create("disabled")
    await components.keys.revoke((await components.keys.authenticate(disabled)).id)
    return disabled, await components.keys.create("foreign")


def _made(client: httpx2.Client) -> str:
    body = {"prompt": "[studio:fast] mine", "seconds": 1, "size": "64x64"}
    video = client.post("/v1/videos", json=body).json()["id"]
    until(lambda: client.get(f"/v1/videos/{video}").json()["status"] == "completed")
    return str(video)


def _file_and_batch(client: httpx2.Client) -> tuple[str, str]:
    body = {"model": "studio", "prompt": "[studio:fast] theirs", "seconds": 1, "size": "64x64"}
    line = {"custom_id": "one", "method": "POST", "url": "/v1/videos", "body": body}
    content = {"file": ("lines.jsonl", json.dumps(line))}
    made = client.post("/v1/files", data={"purpose": "batch"}, files=content).json()["id"]
    wish = {"input_file_id": made, "endpoint": "/v1/videos", "completion_window": "24h"}
    return made, client.post("/v1/batches", json=wish).json()["id"]


@pytest.fixture(scope="package")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    gateway = GatewayProcess(
        tmp_path_factory.mktemp("guarded"),
        FILMGATE_STUDIO="on",
        FILMGATE_OUTBOUND_ALLOW="",
        FILMGATE_MAX_BODY_BYTES=str(BODY_LIMIT),
        FILMGATE_MAX_IMAGE_BYTES="50000",
        FILMGATE_MAX_VIDEO_BYTES="100000",
    )
    disabled, other = gateway.prepare(_keys)
    with gateway, gateway.client(key=other) as foreign, gateway.client() as own:
        video = _made(foreign)
        clip = foreign.get(f"/v1/videos/{video}/content").content
        made = foreign.post("/v1/videos/characters", data={"name": "Theirs"}, files={"video": clip})
        others = made.json()["id"], *_file_and_batch(foreign)
        yield Guarded(gateway, disabled, video, _made(own), *others)


@pytest.fixture(scope="package")
def http(guarded: Guarded) -> Iterator[httpx2.Client]:
    with guarded.gateway.client() as found:
        yield found


@pytest.fixture(scope="package")
def picture() -> bytes:
    return make_picture(64, 64)
