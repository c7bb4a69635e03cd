"""`filmgate demo`: a gateway on a free port makes one video through its own client."""

import secrets
import signal
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.rule import Rule
from rich.syntax import Syntax

from app.cli.child_gateway import ChildProcess, child_gateway, running
from app.cli.gateway_client import open_client
from app.cli.generate import (
    POLL_SECONDS,
    check_writable,
    describe_file,
    progress_bar,
    save_video,
    video_arguments,
)
from app.cli.output import out
from app.client import Filmgate, Video

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


def run_demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Exit after the first video.")] = False,
    prompt: Annotated[str, typer.Option(help="What the video shows.")] = PROMPT,
    seconds: Annotated[int, typer.Option(min=1, max=60)] = 8,
    size: Annotated[str, typer.Option(help="Width x height.")] = "1280x720",
    model: Annotated[str, typer.Option()] = "sora-2",
    file: Annotated[Path, typer.Option("--out", "-o", help="Where to save it.")] = Path("filmgate-demo.mp4"),
) -> None:
    """Start a separate gateway with the embedded studio, make a video, and keep serving."""
    check_writable(file)
    signal.signal(signal.SIGTERM, _raise_interrupt)
    key = f"sk-fg-demo-{secrets.token_hex(8)}"
    out.print("\n[bold magenta]▶ Filmgate[/]  from a prompt to an MP4, on this machine alone\n")
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="filmgate-demo-"))
            gateway = stack.enter_context(running(child_gateway(Path(folder), key=key)))
            client = stack.enter_context(open_client(f"{gateway.address}/v1", key))
            out.print(
                f"[green]✓[/] Gateway at [cyan]{gateway.address}[/], with the embedded studio as its upstream"
            )
            video = _make_video(
                client, video_arguments(prompt=prompt, model=model, seconds=str(seconds), size=size)
            )
            out.print(f"[green]✓[/] {describe_file(save_video(client, video, file))}")
            out.print(f"[green]✓[/] Saved as [bold]{escape(str(file.resolve()))}[/]\n", soft_wrap=True)
            if not once:
                _print_examples(gateway, video, key=key)
                gateway.wait()
    except KeyboardInterrupt:
        out.print("\nStopped.")


def _raise_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _make_video(client: Filmgate, arguments: dict[str, Any]) -> Video:
    """One call of the client makes the video, in a second thread; this one shows its progress."""
    out.print(f"[green]✓[/] Prompt: [italic]“{escape(arguments['prompt'])}”[/]")
    started = time.monotonic()
    with ThreadPoolExecutor(1) as executor, progress_bar() as progress:
        result: Future[Video] = executor.submit(client.videos.create_and_poll, **arguments)
        while not result.done():
            for video in client.videos.list(limit=1).data:
                progress.show_video(video)
            time.sleep(POLL_SECONDS / 2)
        video = result.result()
        progress.show_video(video)
    out.print(f"[green]✓[/] Made in {time.monotonic() - started:.1f} s by client.videos.create_and_poll")
    return video


def _print_examples(gateway: ChildProcess, video: Video, *, key: str) -> None:
    values = {"base_url": f"{gateway.address}/v1", "key": key, "model": video.model, "video": video.id}
    for title, template, language in (("Python", PYTHON, "python"), ("curl", CURL, "bash")):
        out.print(Rule(f"[bold]The same in {title}[/]", align="left", style="dim"))
        syntax = Syntax("", language, theme="ansi_dark", background_color="default")
        out.print(syntax.highlight(template.format(**values)), soft_wrap=True)  # so that it can be copied
    out.print(Rule(style="dim"))
    out.print(f"Every call, to try in a browser:  [bold cyan]{gateway.address}/docs[/]")
    out.print("A gateway that keeps its data:    [bold]make run[/]")
    out.print("[dim]Serving until Ctrl-C.[/]")
