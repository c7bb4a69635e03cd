"""What `generate` and `demo` share: a progress bar, the download, and what is in the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from openai import OpenAI
from openai.types import Video
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.cli.gateway_client import GatewayFailed
from app.cli.output import err
from app.errors import InvalidRequest
from app.media.analysis import probe_clip
from app.media.inspection import MediaInfo

POLL_SECONDS = 0.5
CODECS = {"h264": "H.264", "hevc": "H.265", "vp9": "VP9", "av1": "AV1"}


class VideoProgress:
    """One line that moves; on a pipe, nothing."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._row = progress.add_task("waiting for a slot", total=100)

    def show_video(self, video: Video) -> None:
        """Never goes back."""
        words = {"queued": "waiting for a slot", "in_progress": "making the video", "completed": "made"}
        known = self._progress.tasks[0].completed
        self._progress.update(
            self._row,
            completed=100 if video.status == "completed" else max(known, video.progress or 0),
            description=words.get(video.status, video.status),
        )


@contextmanager
def progress_bar() -> Iterator[VideoProgress]:
    columns = (
        SpinnerColumn("dots", style="magenta", finished_text="[green]✓[/]"),
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=40, complete_style="magenta", finished_style="green"),
        TextColumn("[bold]{task.percentage:>3.0f} %[/]"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        yield VideoProgress(progress)


def video_arguments(*, prompt: str, model: str, seconds: str, size: str) -> dict[str, Any]:
    """Arguments for the SDK, which has narrower types than a gateway has models; empty ones left out."""
    given = {"prompt": prompt, "model": model, "seconds": seconds, "size": size}
    return {name: cast(Any, value) for name, value in given.items() if value}


def save_video(client: OpenAI, video: Video, path: Path) -> MediaInfo:
    """Download a finished video, whole or not at all. Raises ``GatewayFailed`` for one that failed."""
    if video.status != "completed":
        reason = video.error.message if video.error else "no reason was given"
        raise GatewayFailed(f"The video could not be made: {reason}")
    part = path.with_name(path.name + ".part")
    try:
        client.videos.download_content(video.id).write_to_file(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return probe_clip(path)


def check_writable(path: Path) -> None:
    """Before anything is bought. Raises ``InvalidRequest``."""
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise InvalidRequest(f"--out: {path} can't be written ({error.strerror})") from None
    if path.stat().st_size == 0:
        path.unlink()


def describe_file(found: MediaInfo) -> str:
    """Like ``1280x720 · 8.0 s · 24 fps · H.264 with sound · 2.1 MB``."""
    codec = CODECS.get(found.codec, found.codec)
    sound = " with sound" if found.has_audio else ""
    size = f"{found.bytes / 1e6:.1f} MB"
    return f"{found.width}x{found.height} · {found.seconds:.1f} s · {found.fps:.0f} fps · {codec}{sound} · {size}"
