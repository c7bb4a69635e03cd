"""What the supervisor of several serving processes needs of the machine."""

import asyncio
import errno
import fcntl
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from app.cli import supervisor
from app.settings import Settings


async def test_a_process_that_can_not_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Any] = []

    async def refuse(*arguments: Any, **_: Any) -> None:
        tries.append(arguments)
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 0.0)
    kept = supervisor.Supervisor(
        Settings(host="127.0.0.1", port=0, processes=2), quiet=True, metrics=tmp_path
    )
    seat = kept._seats[1]
    keeping = asyncio.create_task(kept._keep(seat))
    try:
        while len(tries) < 3:
            assert not keeping.done()
            await asyncio.sleep(0)
        assert not await kept._install_successor(seat)  # of a restart: what ran before goes on
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        for each in kept._seats:
            each.listener.close()


BUSY = """
import asyncio, signal, socket, sys, time
from app.cli.serving import SupervisorLink

async def serve():
    link = SupervisorLink(socket.socket(fileno=int(sys.argv[1])))
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, time.sleep, 3600)
    link.report_ready()
    await asyncio.sleep(3600)

asyncio.run(serve())
"""


async def test_a_process_whose_event_loop_stands_still_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.2)
    looks: list[bool] = []
    look = supervisor.ServingProcess._is_heard

    async def noted(process: supervisor.ServingProcess) -> bool:
        looks.append(await look(process))
        return looks[-1]

    monkeypatch.setattr(supervisor.ServingProcess, "_is_heard", noted)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BUSY, str(theirs.fileno()), cwd=supervisor.ROOT, pass_fds=[theirs.fileno()]
        )
    serving = supervisor.ServingProcess(child, ours)
    ending = asyncio.create_task(serving.wait_end())
    try:
        assert await serving.wait_ready()
        async with asyncio.timeout(120):
            while looks.count(True) < 3:  # noqa: ASYNC110 - what is waited for is the other process
                await asyncio.sleep(0.05)
        assert not ending.done()
        looks.clear()
        serving.signal(signal.SIGUSR1)
        async with asyncio.timeout(120):
            assert await ending == -signal.SIGKILL
        assert looks[-supervisor.SILENT_LOOKS :] == [False] * supervisor.SILENT_LOOKS
    finally:
        serving.signal(signal.SIGKILL)
        await ending


def test_the_folder_of_the_counts_is_locked_while_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []

    async def look(_: Settings, *, quiet: bool, metrics: Path) -> int:
        folders.append(metrics)
        folder = os.open(metrics, os.O_RDONLY)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(folder)
        return int(quiet)

    monkeypatch.setattr(supervisor, "_run_supervisor", look)
    with pytest.raises(SystemExit) as ended:
        supervisor.supervise(Settings(processes=2), quiet=True)
    assert (ended.value.code, folders[0].exists()) == (1, False)
