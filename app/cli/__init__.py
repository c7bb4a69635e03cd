"""The command line: one file per group of commands."""

import atexit
import contextlib
import importlib
import os
import sys
from typing import Annotated, NoReturn

import typer
from typer._click.exceptions import NoArgsIsHelpError, UsageError  # typer's copy of click, named nowhere else

from app import __version__
from app.cli.json_output import class_of
from app.cli.output import print_error, print_usage_error
from app.errors import FilmgateError
from app.late import uncollected
from app.ops import logs

# Command: module and attribute, in the order of `--help`. Only the command that was given is imported, which saves
# memory: `serve` needs no OpenAI client.
COMMANDS = {
    "demo": "demo:run_demo",
    "prove": "prove:prove_once",
    "serve": "serve:serve_gateway",
    "worker": "worker:run_worker",
    "generate": "generate:generate_video",
    "mcp": "mcp:serve_tools",
    "tasks": "tasks:commands",
    "replay": "replay:replay_failed_tasks",
    "receipt": "receipts:commands",
    "keys": "keys:commands",
    "projects": "projects:commands",
    "accounts": "accounts:commands",
    "routes": "routes:commands",
    "models": "models:commands",
    "prices": "prices:commands",
    "held": "held:commands",
    "notices": "notices:commands",
    "labels": "labels:commands",
    "config": "config:commands",
    "backup": "backup:save_backup",
    "restore": "backup:restore_backup",
    "move": "move:move_store",
    "import": "moving:import_gateway",
    "admin": "admin:commands",
    "rotate-root-key": "rotate_root_key:rotate_root_key",
    "downgrade": "downgrade:downgrade_store",
    "providers": "reference:list_providers",
    "doctor": "doctor:run_doctor",
    "openapi": "reference:print_openapi",
}


def main() -> NoReturn:
    """Exit codes: 0 success, 1 failure, 2 an invalid setting or argument."""
    code = 1

    def end_process() -> None:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
        with contextlib.suppress(BrokenPipeError):
            sys.stderr.flush()
        os._exit(code)

    # A thread of obstore's that calls into an interpreter which is being torn down aborts the process, once in many runs:
    # https://docs.python.org/3/c-api/init.html#cautions-regarding-runtime-finalization. What is registered first runs last.
    atexit.register(end_process)
    try:
        code = _run_command()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise
    sys.exit(code)


def _run_command() -> int:
    logs.set_up(level="error", style="console")
    given = sys.argv[1:2]
    with uncollected():
        cli = command_line(*([name for name in COMMANDS if name in given] or COMMANDS))
    try:
        code = cli(prog_name="filmgate", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except UsageError as error:
        return print_usage_error(error.format_message(), error.ctx.command_path if error.ctx else None)
    except typer.Abort:
        return print_usage_error("Aborted.", None)
    except FilmgateError as error:
        return print_error(error)
    except BrokenPipeError:  # the reader of our output has exited, as `head` does
        return 0


def command_line(*names: str) -> typer.Typer:
    """The application with these commands."""
    cli = typer.Typer(
        name="filmgate",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    cli.callback()(describe_program)
    for name in names:
        module, attribute = COMMANDS[name].split(":")
        command = getattr(importlib.import_module(f"app.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            for each in command.registered_commands:
                each.cls = class_of(f"{name} {each.name}")
            cli.add_typer(command, name=name)
        else:
            cli.command(name, cls=class_of(name))(command)
    return cli


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"filmgate {__version__}")
        raise typer.Exit


def describe_program(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """One OpenAI-compatible address for video generation over a pool of upstream accounts."""
