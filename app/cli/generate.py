"""`filmgate generate`: one video from any gateway, saved as a file; also what `demo` shares with it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.cli.gateway_client import DEFAULT_ADDRESS, ApiKey, BaseUrl, GatewayFailed, open_client
from app.cli.output import err, out
from app.client import Filmgate, Video
from app.errors import InvalidRequest
from app.media.analysis import measure_clip
from app.media.inspection import MediaInfo

POLL_SECONDS = 0.5
CODECS = {"h264": "H.264", "hevc": "H.265", "vp9": "VP9", "av1": "AV1"}
STATUS_TEXTS = {"queued": "waiting for a slot", "in_progress": "making the video", "completed": "made"}


def generate_video(
    prompt: Annotated[str, typer.Argument(help="What the video shows.")],
    *,
    image: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="First frame or reference image."),
    ] = None,
    seconds: Annotated[int, typer.Option(min=1)] = 8,
    size: Annotated[str, typer.Option(help="Width x height.")] = "1280x720",
    model: Annotated[str, typer.Option()] = "sora-2",
    file: Annotated[Path, typer.Option("--out", "-o", help="Where to save it.")] = Path("out.mp4"),
    base_url: BaseUrl = DEFAULT_ADDRESS,
    api_key: ApiKey = "",
) -> None:
    """Make a video and save it. After Ctrl-C the task continues; `filmgate tasks` lists it."""
    check_writable(file)
    arguments = video_arguments(prompt=prompt, model=model, seconds=str(seconds), size=size)
    if image is not None:
        arguments["input_reference"] = image
    with open_client(base_url, api_key) as client:
        video = _wait_for_video(client, client.videos.create(**arguments))
        info = save_video(client, video, file)
    err.print(f"[green]✓[/] {describe_file(info)}")
    out.print(escape(str(file)), soft_wrap=True)


def _wait_for_video(client: Filmgate, video: Video) -> Video:
    """Polls until the video is finished or has failed."""
    with progress_bar() as progress:
        try:
            while video.status in {"queued", "in_progress"}:
                progress.show_video(video)
                time.sleep(POLL_SECONDS)
                video = client.videos.retrieve(video.id)
            progress.show_video(video)
        except KeyboardInterrupt:
            err.print(f"The task continues: filmgate tasks show {video.id}")
            raise typer.Exit(130) from None
    return video


class VideoProgress:
    """A progress bar for one video. Shows nothing where stderr is not a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._row = progress.add_task(STATUS_TEXTS["queued"], total=100)

    def show_video(self, video: Video) -> None:
        """Updates the bar. It never moves back."""
        shown = self._progress.tasks[0].completed
        self._progress.update(
            self._row,
            completed=100 if video.status == "completed" else max(shown, video.progress or 0),
            description=STATUS_TEXTS.get(video.status, video.status),
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
    """Arguments for the client; empty ones are left out."""
    given = {"prompt": prompt, "model": model, "seconds": seconds, "size": size}
    return {name: value for name, value in given.items() if value}


def save_video(client: Filmgate, video: Video, path: Path) -> MediaInfo:
    """Downloads a finished video, completely or not at all. Raises ``GatewayFailed`` for a failed one."""
    if video.status != "completed":
        reason = video.error.message if video.error else "no reason was given"
        raise GatewayFailed(f"The video could not be made: {reason}")
    part = path.with_name(path.name + ".part")
    try:
        client.videos.download_content(video.id).write_to_file(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return measure_clip(path)


def check_writable(path: Path) -> None:
    """Called before anything is paid for. Raises ``InvalidRequest``."""
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise InvalidRequest(f"--out: {path} can't be written ({error.strerror})") from None
    if path.stat().st_size == 0:
        path.unlink()


def describe_file(info: MediaInfo) -> str:
    """Like ``1280x720 · 8.0 s · 24 fps · H.264 with sound · 2.1 MB``."""
    codec = CODECS.get(info.codec, info.codec)
    sound = " with sound" if info.has_audio else ""
    size = f"{info.bytes / 1e6:.1f} MB"
    return f"{info.width}x{info.height} · {info.seconds:.1f} s · {info.fps:.0f} fps · {codec}{sound} · {size}"
