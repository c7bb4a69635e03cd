"""Temporary folders of processes that were killed are removed; those of living ones are not."""

import subprocess
import sys
from pathlib import Path

from app.media.scratch import ScratchFolder

OTHER = """
import sys, time
from pathlib import Path
from app.media.scratch import ScratchFolder
with ScratchFolder(Path(sys.argv[1])).temporary("result-") as folder:
    (folder / "result").write_bytes(b"half a film")
    print("ready", flush=True)
    time.sleep(600)
"""


def test_only_what_dead_processes_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "result-of-an-older-version").mkdir()
    scratch = ScratchFolder(tmp_path)
    with (
        subprocess.Popen([sys.executable, "-c", OTHER, str(tmp_path)], stdout=subprocess.PIPE) as other,
        scratch.temporary("mine-") as mine,
    ):
        assert other.stdout and other.stdout.readline()
        assert scratch.sweep() == 1
        assert len(list(tmp_path.rglob("result"))) == 1 and mine.is_dir()
        other.kill()
        other.wait()
        assert scratch.sweep() == 1
        assert not list(tmp_path.rglob("result")) and mine.is_dir()
    scratch.close()
    assert list(tmp_path.iterdir()) == []
