"""The worker of the simulation, a process that may be killed: all but the decoder of results is real."""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Literal

import uvloop

from app.assembly import assemble_components
from app.errors import ResultUndecodable
from app.media.inspection import MediaInfo, MediaInspector
from app.ops import logs
from app.settings import Settings
from app.worker import Worker

SEEN = MediaInfo(64, 64, 1.0, 24.0, 1, "h264", False)


class Blind(MediaInspector):
    """Takes a vendor's word for what a result is: decoding ten thousand videos is another benchmark."""

    async def probe_video(self, path: Path) -> MediaInfo:
        return SEEN

    async def draw_previews(self, path: Path, folder: Path, *, kind: Literal["video", "image"]) -> None:
        raise ResultUndecodable("Nothing is drawn here.")


async def work() -> None:
    settings = Settings()
    logs.set_up(level=settings.log_level, style=settings.log_format)
    components = replace(await assemble_components(settings), inspector=Blind())
    worker = Worker(components)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await worker.start()
    print("ready", flush=True)
    await stopped.wait()
    await worker.stop()
    await components.close()


if __name__ == "__main__":
    uvloop.run(work())
