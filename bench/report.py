"""The table of a run, and how the gateway stands against the bare pass-through."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """Rates per second, times and CPU in milliseconds, memory in megabytes."""

    what: str
    server: str
    rate: float
    p50: float
    p99: float
    first_p50: float
    first_p99: float
    cpu: float
    rss: float


def show(console: Console, rows: list[Row], *, start: float, idle: float) -> None:
    table = Table(title="Server on one core; load and upstream on another", title_justify="left")
    for name in ("what", "server"):
        table.add_column(name)
    for name in (
        "per second",
        "p50 ms",
        "p99 ms",
        "first p50",
        "first p99",
        "CPU ms/request",
        "RSS MB",
        "of bare",
    ):
        table.add_column(name, justify="right")
    bare = {row.what: row for row in rows if row.server == "bare"}
    for row in rows:
        table.add_row(
            row.what,
            row.server,
            f"{row.rate:,.0f}",
            f"{row.p50:.3f}",
            f"{row.p99:.3f}",
            f"{row.first_p50:.3f}" if row.first_p50 else "",
            f"{row.first_p99:.3f}" if row.first_p99 else "",
            f"{row.cpu:.3f}",
            f"{row.rss:.0f}",
            _compared(row, bare.get(row.what)),
        )
    console.print(table)
    console.print(f"start to first answer {start:.2f} s, idle RSS {idle:.0f} MB")


def _compared(row: Row, bare: Row | None) -> str:
    if bare is None or row.server == "bare":
        return ""
    return f"{row.rate / bare.rate:.0%}, +{row.p50 - bare.p50:.3f} ms"
