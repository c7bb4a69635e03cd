"""What processes of one `serve` have counted stays told after their end, in two files however many there were."""

import os
import subprocess
import sys
from pathlib import Path

from app.ops.ended_counts import keep_counts

ROOT = Path(__file__).parent.parent.parent
COUNT = """
import os
from app.ops.metrics import REQUEST_SECONDS, REQUESTS, TASKS_OPEN
REQUESTS.labels("/v1/videos", "POST", os.environ["STATUS"]).inc(3)
REQUEST_SECONDS.labels("/v1/videos").observe(0.01)
TASKS_OPEN.labels("queued").set(7)
print(os.getpid())
"""
READ = "from app.ops.metrics import exposition; print(exposition().decode())"


def run(code: str, folder: Path, **more: str) -> str:
    """In a process of its own, as the library looks at the variable when it is imported."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder), **more}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_counts_of_ended_processes_are_added_up(tmp_path: Path) -> None:
    for status in ("200", "200", "500"):
        keep_counts(tmp_path, int(run(COUNT, tmp_path, STATUS=status)))
    living = int(run(COUNT, tmp_path, STATUS="200"))
    keep_counts(tmp_path, living + 1)  # nothing is there of it
    own = {path.name for path in tmp_path.glob(f"*_{living}.db")}
    assert {path.name for path in tmp_path.glob("*.db")} - own == {"counter_ended.db", "histogram_ended.db"}
    told = run(READ, tmp_path).splitlines()
    requests = 'filmgate_requests_total{method="POST",route="/v1/videos",status="%s"} %s'
    assert requests % (200, 9.0) in told
    assert requests % (500, 3.0) in told
    assert 'filmgate_request_seconds_bucket{le="0.005",route="/v1/videos"} 0.0' in told
    assert 'filmgate_request_seconds_bucket{le="+Inf",route="/v1/videos"} 4.0' in told
    assert 'filmgate_request_seconds_count{route="/v1/videos"} 4.0' in told
