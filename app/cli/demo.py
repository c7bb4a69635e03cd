"""`filmgate demo`: a gateway on a free port makes one video through its own client."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.rule import Rule
from rich.syntax import Syntax

from app.cli.gateway_client import GatewayFailed, open_client
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

ADDRESS_PREFIX = "Listening on "
STOP_SECONDS = 10
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
            gateway = stack.enter_context(DemoGateway.start_in(Path(folder), key=key))
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
                gateway.wait_until_stopped()
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


def _print_examples(gateway: "DemoGateway", video: Video, *, key: str) -> None:
    values = {"base_url": f"{gateway.address}/v1", "key": key, "model": video.model, "video": video.id}
    for title, template, language in (("Python", PYTHON, "python"), ("curl", CURL, "bash")):
        out.print(Rule(f"[bold]The same in {title}[/]", align="left", style="dim"))
        syntax = Syntax("", language, theme="ansi_dark", background_color="default")
        out.print(syntax.highlight(template.format(**values)), soft_wrap=True)  # so that it can be copied
    out.print(Rule(style="dim"))
    out.print(f"Every call, to try in a browser:  [bold cyan]{gateway.address}/docs[/]")
    out.print("A gateway that keeps its data:    [bold]make run[/]")
    out.print("[dim]Serving until Ctrl-C.[/]")


class DemoGateway:
    """A gateway as a child process, on a free port and with its own data; ``address`` is its URL."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self._process = process
        self.address = address

    @classmethod
    @contextmanager
    def start_in(cls, folder: Path, *, key: str) -> Iterator["DemoGateway"]:
        """Serves until the block is left. Raises ``GatewayFailed`` with the last line of its log when it can't start."""
        log_path = folder / "gateway.log"
        # -P: a package "app" in the folder where the command was typed is not ours.
        command = [
            sys.executable,
            "-P",
            "-m",
            "app.cli",
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--quiet",
        ]
        with (
            log_path.open("w") as log,
            subprocess.Popen(  # noqa: S603
                command, env=_demo_environment(folder, key), stdout=subprocess.PIPE, stderr=log, text=True
            ) as process,
        ):
            try:
                yield cls(process, _read_address(process, log_path))
            finally:
                _stop_process(process)

    def wait_until_stopped(self) -> None:
        self._process.wait()


def _demo_environment(folder: Path, key: str) -> dict[str, str]:
    """Without the operator's own settings, so that a demo changes nothing and costs nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FILMGATE_")}
    root = str(Path(__file__).parent.parent.parent)
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH", "")])),
        "FILMGATE_DATA_DIR": str(folder / "data"),
        "FILMGATE_API_KEY": key,
        "FILMGATE_STUDIO": "on",
        "FILMGATE_DRAIN_SECONDS": "1",
    }


def _read_address(process: subprocess.Popen[str], log_path: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(ADDRESS_PREFIX):
            return line.removeprefix(ADDRESS_PREFIX).strip()
    lines = log_path.read_text().strip().splitlines() or ["it printed nothing"]
    raise GatewayFailed(f"The gateway did not start: {lines[-1]}")


def _stop_process(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
