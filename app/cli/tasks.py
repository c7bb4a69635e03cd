"""`filmgate tasks`: lists, shows and cancels tasks through a gateway."""

from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape

from app.cli.gateway_client import DEFAULT_ADDRESS, ApiKey, BaseUrl, open_client
from app.cli.output import err, out, plain_table

commands = typer.Typer(help="List, show and cancel tasks of a gateway.", no_args_is_help=True)
TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task id in any form, like video_….")]
COLOURS = {"processing": "cyan", "completed": "green", "failed": "red"}


@commands.command("list")
def list_tasks(
    *,
    status: Annotated[str, typer.Option(help="processing, completed or failed.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    base_url: BaseUrl = DEFAULT_ADDRESS,
    api_key: ApiKey = "",
) -> None:
    """List the tasks of the key, newest first."""
    query = f"?limit={limit}" + (f"&status={quote(status)}" if status else "")
    with open_client(base_url, api_key) as client:
        page = client.request("GET", f"/tasks{query}")
    table = plain_table("ID", "STATUS", "MODEL", "CREATED", "PROMPT")
    for task in page["data"]:
        prompt = " ".join(str(task["prompt"]).split())
        short = prompt if len(prompt) <= 48 else prompt[:47] + "…"
        table.add_row(
            task["task_id"], _status_text(task), escape(task["model"]), task["created_at"], escape(short)
        )
    if not table.row_count:
        err.print('No tasks. `filmgate generate "a fox in the snow"` creates one.')
        return
    out.print(table)
    if page["has_more"]:
        err.print(f"[dim]There are more tasks; this list has {limit}, --limit allows up to 100.[/]")


@commands.command("show")
def show_task(task_id: TaskId, *, base_url: BaseUrl = DEFAULT_ADDRESS, api_key: ApiKey = "") -> None:
    """Show one task with its links."""
    with open_client(base_url, api_key) as client:
        _print_task(client.request("GET", f"/tasks/{quote(task_id, safe='')}"))


@commands.command("cancel")
def cancel_task(task_id: TaskId, *, base_url: BaseUrl = DEFAULT_ADDRESS, api_key: ApiKey = "") -> None:
    """Cancel a task, also upstream where the vendor supports it."""
    with open_client(base_url, api_key) as client:
        _print_task(client.request("POST", f"/tasks/{quote(task_id, safe='')}/cancel"))


def _print_task(task: dict[str, Any]) -> None:
    table = plain_table("", "")
    table.show_header = False
    table.add_row("[bold]id[/]", escape(task["task_id"]))
    table.add_row("[bold]status[/]", _status_text(task))
    for name in ("model", "prompt", "error_message", "created_at", "completed_at"):
        if task.get(name):
            table.add_row(f"[bold]{name.replace('_', ' ')}[/]", escape(str(task[name])))
    for link in task["result_urls"]:
        table.add_row("[bold]result[/]", escape(link))
    out.print(table)


def _status_text(task: dict[str, Any]) -> str:
    status = str(task["status"])
    text = f"{status} {task['progress']:.0f} %" if status == "processing" else status
    return f"[{COLOURS.get(status, 'white')}]{text}[/]"
