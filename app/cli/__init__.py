"""The command line: one file per command."""

import importlib
import os
import sys

import typer

from app.cli.collector import postpone_collections
from app.cli.output import print_error
from app.errors import FilmgateError
from app.ops import logs

# In the order of `--help`. Only what is asked for is loaded: `serve` needs no OpenAI client in its memory.
COMMANDS = (
    "demo",
    "serve",
    "worker",
    "generate",
    "tasks",
    "keys",
    "accounts",
    "routes",
    "prices",
    "config",
    "backup",
    "restore",
    "admin",
    "rotate-root-key",
    "providers",
    "doctor",
    "openapi",
)


def main() -> None:
    """Exit codes: 0 done, 1 it failed, 2 a setting or an argument can't work."""
    logs.set_up(level="error", style="console")
    postpone_collections()
    asked = sys.argv[1:2]
    cli = command_line(*([name for name in COMMANDS if name in asked] or COMMANDS))
    try:
        cli(prog_name="filmgate")
    except FilmgateError as error:
        sys.exit(print_error(error))
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def command_line(*names: str) -> typer.Typer:
    """With these commands, each from the module of its name."""
    cli = typer.Typer(
        name="filmgate",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    cli.callback()(filmgate)
    for name in names:
        attribute = name.replace("-", "_")
        module = importlib.import_module(f"app.cli.{attribute}")
        if hasattr(module, "commands"):
            cli.add_typer(module.commands, name=name)
        else:
            cli.command(name)(getattr(module, attribute))
    return cli


def filmgate() -> None:
    """One OpenAI-compatible address for video generation over a pool of upstream accounts."""
