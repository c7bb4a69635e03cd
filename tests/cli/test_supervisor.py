"""What the supervisor of several serving processes needs of the machine."""

import asyncio
import errno
import fcntl
import os
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
