"""Temporary folders of processes that were killed are removed; those of living ones are not."""

import subprocess
import sys
from pathlib import Path

from app.media.scratch import ScratchFolder

OTHER = """
import sys, time
from pathlib import Path
from app.media.scratch import ScratchFolder
with ScratchFolder(Path(sys.argv[1])).files("result") as files:
    files.path("copy").write_bytes(b"half a film")
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
        assert len(list(tmp_path.rglob("result-*-copy"))) == 1 and mine.is_dir()
        other.kill()
        other.wait()
        assert scratch.sweep() == 1
        assert not list(tmp_path.rglob("result-*-copy")) and mine.is_dir()
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_the_files_of_one_work_need_no_folder_and_leave_those_of_others_alone(tmp_path: Path) -> None:
    scratch = ScratchFolder(tmp_path)
    with scratch.files("result") as others:
        kept = others.path("copy")
        kept.write_bytes(b"of others")
        with scratch.files("result") as files:
            for name in ("copy", "trimmed"):
                files.path(name).write_bytes(b"half a film")
            files.path("labelled")  # which was never made
            files.path("copy").rename(tmp_path / "stored")
            assert len(list(kept.parent.iterdir())) == 2
        assert list(kept.parent.iterdir()) == [kept]
        assert kept.parent.stat().st_mode & 0o077 == 0, "nobody else may read what is being made"
    scratch.close()
    assert [path.name for path in tmp_path.iterdir()] == ["stored"]
