"""`filmgate serve`: the gateway, with a worker in the same process by default."""

import importlib
from typing import Annotated

import typer

from app.errors import SettingsInvalid
from app.late import uncollected
from app.ops import logs
from app.settings import MAX_PROCESSES, Settings, load_settings


def serve_gateway(
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen on; default FILMGATE_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one; default FILMGATE_PORT.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_PROCESSES,
            help="Serving processes on one port, with PostgreSQL; default FILMGATE_PROCESSES.",
        ),
    ] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run tasks in this process.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the address.")] = False,
) -> None:
    """Start the gateway. Ctrl-C or SIGTERM stops it after open requests have ended."""
    settings = load_settings()
    settings = settings.model_copy(
        update={
            "host": host or settings.host,
            "port": settings.port if port is None else port,
            "processes": processes or settings.processes,
            "worker": settings.worker and worker,
        }
    )
    logs.set_up(level=settings.log_level, style=settings.log_format)
    # Only one of the two is loaded: the supervisor needs nothing of what serves, which is half of its memory.
    if settings.processes > 1:
        _require_postgres(settings)
        importlib.import_module("app.cli.supervisor").supervise(settings, quiet=quiet)
    else:
        with uncollected():
            serving = importlib.import_module("app.cli.serving")
        serving.serve_alone(settings, quiet=quiet)


def _require_postgres(settings: Settings) -> None:
    if settings.resolved_database_url.startswith("sqlite"):
        raise SettingsInvalid(
            f"FILMGATE_PROCESSES: {settings.processes} processes need PostgreSQL, as SQLite serves one. Set "
            "FILMGATE_DATABASE_URL=postgresql+asyncpg://user:password@host:5432/name, or use one process "
            "(--processes 1)."
        )
