"""Our own client, from its wheel."""

import os
from pathlib import Path

from filmgate_client import BadRequestError, Filmgate

with Filmgate(base_url=f"{os.environ['GATEWAY']}/v1", api_key=os.environ["GATEWAY_KEY"]) as client:
    video = client.videos.create_and_poll(prompt="[studio:fast] a boat", seconds="1", size="64x64")
    client.videos.download_content(video.id).write_to_file("boat.mp4")
    assert video.status == "completed" and Path("boat.mp4").stat().st_size > 0
    try:
        client.videos.create(prompt="x", seconds="soon")
    except BadRequestError as error:
        assert error.param == "seconds"
    else:
        raise AssertionError("not refused")
print("create, poll, download, refusal")
