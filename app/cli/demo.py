"""`filmgate demo`: from nothing to a playable MP4, through the official SDK, on one screen."""

import secrets
import signal
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from openai import OpenAI
from openai.types import Video
from rich.markup import escape
from rich.rule import Rule
from rich.syntax import Syntax

from app.cli.child import DemoGateway
from app.cli.film import (
    POLL_SECONDS,
    check_writable,
    describe_file,
    progress_bar,
    save_video,
    video_arguments,
)
from app.cli.gateway_client import open_client
from app.cli.output import out

PROMPT = "A lighthouse on a cliff at dusk, its warm beam sweeping over a silver sea"
PYTHON = """\
from openai import OpenAI

client = OpenAI(
    base_url="{base_url}", api_key="{key}"
)
video = client.videos.create_and_poll(model="{model}", prompt="A paper boat")
client.videos.download_content(video.id).write_to_file("boat.mp4")"""
CURL = """\
URL={base_url}/videos
AUTH="Authorization: Bearer {key}"
curl $URL -H "$AUTH" -F model={model} -F prompt="A paper boat at sea"
curl $URL/{video} -H "$AUTH"
curl $URL/{video}/content -H "$AUTH" -o boat.mp4"""


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="End after the first video.")] = False,
    prompt: Annotated[str, typer.Option(help="What to see.")] = PROMPT,
    seconds: Annotated[int, typer.Option(min=1, max=60)] = 8,
    size: Annotated[str, typer.Option(help="Width x height.")] = "1280x720",
    model: Annotated[str, typer.Option()] = "sora-2",
    file: Annotated[Path, typer.Option("--out", "-o", help="Where to save_video it.")] = Path(
        "filmgate-demo.mp4"
    ),
) -> None:
    """Start a gateway of its own with the embedded studio, make a video, and keep serving."""
    check_writable(file)
    signal.signal(signal.SIGTERM, _raise_interrupt)
    key = f"sk-fg-demo-{secrets.token_hex(8)}"
    out.print("\n[bold magenta]▶ Filmgate[/]  from a prompt to an MP4, with nothing but this machine\n")
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="filmgate-demo-"))
            child = stack.enter_context(DemoGateway.start_in(Path(folder), key=key))
            client = stack.enter_context(open_client(f"{child.address}/v1", key))
            out.print(
                f"[green]✓[/] Gateway at [cyan]{child.address}[/], with the embedded studio as its upstream"
            )
            video = _make_video(
                client, video_arguments(prompt=prompt, model=model, seconds=str(seconds), size=size), prompt
            )
            out.print(f"[green]✓[/] {describe_file(save_video(client, video, file))}")
            out.print(f"[green]✓[/] Saved as [bold]{escape(str(file.resolve()))}[/]\n", soft_wrap=True)
            if not once:
                _print_examples(child, video, key=key)
                child.wait_until_stopped()
    except KeyboardInterrupt:
        out.print("\nStopped.")


def _raise_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _make_video(client: OpenAI, wish: dict[str, object], prompt: str) -> Video:
    """One call of the SDK makes the video; meanwhile a second thread's view of it moves the bar."""
    out.print(f"[green]✓[/] Asked for [italic]“{escape(prompt)}”[/]")
    began = time.monotonic()
    with ThreadPoolExecutor(1) as elsewhere, progress_bar() as line:
        coming: Future[Video] = elsewhere.submit(client.videos.create_and_poll, **wish)  # type: ignore[arg-type]
        while not coming.done():
            for video in client.videos.list(limit=1).data:
                line.show_video(video)
            time.sleep(POLL_SECONDS / 2)
        video = coming.result()
        line.show_video(video)
    out.print(f"[green]✓[/] Made in {time.monotonic() - began:.1f} s by openai.videos.create_and_poll")
    return video


def _print_examples(child: DemoGateway, video: Video, *, key: str) -> None:
    words = {"base_url": f"{child.address}/v1", "key": key, "model": video.model, "video": video.id}
    for title, text, language in (("Python", PYTHON, "python"), ("curl", CURL, "bash")):
        out.print(Rule(f"[bold]The same in {title}[/]", align="left", style="dim"))
        code = Syntax("", language, theme="ansi_dark", background_color="default").highlight(
            text.format(**words)
        )
        out.print(code, soft_wrap=True)  # never cut: it is there to be copied
    out.print(Rule(style="dim"))
    out.print(f"Every call, to try in a browser:  [bold cyan]{child.address}/docs[/]")
    out.print("A gateway that keeps its data:    [bold]make run[/]")
    out.print("[dim]Serving until Ctrl-C.[/]")
