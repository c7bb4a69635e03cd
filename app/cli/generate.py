"""`filmgate generate`: one video from any gateway, to a file."""

import time
from pathlib import Path
from typing import Annotated

import typer
from openai import OpenAI
from openai.types import Video
from rich.markup import escape

from app.cli.film import (
    POLL_SECONDS,
    check_writable,
    describe_file,
    progress_bar,
    save_video,
    video_arguments,
)
from app.cli.gateway_client import DEFAULT_ADDRESS, ApiKey, BaseUrl, open_client
from app.cli.output import err, out


def generate(
    prompt: Annotated[str, typer.Argument(help="What to see.")],
    *,
    image: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="First frame or reference."),
    ] = None,
    seconds: Annotated[int, typer.Option(min=1)] = 8,
    size: Annotated[str, typer.Option(help="Width x height.")] = "1280x720",
    model: Annotated[str, typer.Option()] = "sora-2",
    file: Annotated[Path, typer.Option("--out", "-o", help="Where to save_video it.")] = Path("out.mp4"),
    base_url: BaseUrl = DEFAULT_ADDRESS,
    api_key: ApiKey = "",
) -> None:
    """Make a video and save it. Ctrl-C leaves it running; `filmgate tasks` finds it again."""
    check_writable(file)
    wish = video_arguments(prompt=prompt, model=model, seconds=str(seconds), size=size)
    if image is not None:
        wish["input_reference"] = image
    with open_client(base_url, api_key) as client:
        video = _wait_for_video(client, client.videos.create(**wish))
        found = save_video(client, video, file)
    err.print(f"[green]✓[/] {describe_file(found)}")
    out.print(escape(str(file)), soft_wrap=True)


def _wait_for_video(client: OpenAI, video: Video) -> Video:
    """Look until it has ended."""
    with progress_bar() as line:
        try:
            while video.status in {"queued", "in_progress"}:
                line.show_video(video)
                time.sleep(POLL_SECONDS)
                video = client.videos.retrieve(video.id)
            line.show_video(video)
        except KeyboardInterrupt:
            err.print(f"It goes on without us: filmgate tasks show {video.id}")
            raise typer.Exit(130) from None
    return video
