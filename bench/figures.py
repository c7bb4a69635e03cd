"""What was measured, beside a bare pass-through and what must be reached, as a table for people or for the README."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

Basis = Literal["value", "ratio", "added"]
COLUMNS = ("what", "store", "median", "lowest to highest", "beside it", "ratio", "must", "reached")


@dataclass(frozen=True)
class Must:
    """``bound`` for the value itself, its ratio to what it stands beside, or what it adds to that."""

    bound: float
    basis: Basis = "value"
    least: bool = False

    def holds(self, found: float) -> bool:
        return found >= self.bound if self.least else found <= self.bound

    def describe(self, unit: str) -> str:
        sign = "≥" if self.least else "≤"
        return f"{sign} {percent(self.bound) if self.basis == 'ratio' else with_unit(self.bound, unit)}"


@dataclass(frozen=True)
class Figure:
    """One row. ``values`` and ``beside`` are of the same runs, in turn; ``beside_what`` names the latter."""

    what: str
    store: str
    values: Sequence[float]
    unit: str
    must: Must | None = None
    beside: Sequence[float] = ()
    beside_what: str = "bare"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median of the runs' ratios, as the two of one run had the same weather."""
        pairs = [value / beside for value, beside in zip(self.values, self.beside, strict=False) if beside]
        return statistics.median(pairs) if pairs else None

    @property
    def added(self) -> float | None:
        pairs = [value - beside for value, beside in zip(self.values, self.beside, strict=False)]
        return statistics.median(pairs) if pairs else None

    @property
    def is_reached(self) -> bool | None:
        if self.must is None:
            return None
        found = {"value": self.median, "ratio": self.ratio, "added": self.added}[self.must.basis]
        return None if found is None else self.must.holds(found)

    def cells(self) -> tuple[str, ...]:
        """In the order of ``COLUMNS``."""
        spread = ""
        if len(self.values) > 1:
            spread = f"{number(min(self.values))} to {number(max(self.values))}"
        beside = f"{self.beside_what} {number(statistics.median(self.beside))}" if self.beside else ""
        return (
            self.what,
            self.store,
            with_unit(self.median, self.unit),
            spread,
            beside,
            self._ratio_text(),
            self.must.describe(self.unit) if self.must else "",
            {None: "", True: "yes", False: "no"}[self.is_reached],
        )

    def _ratio_text(self) -> str:
        if self.ratio is None or self.added is None:
            return ""
        if self.must is not None and self.must.basis == "added":
            return f"{self.added:+.3f} {self.unit}"
        return percent(self.ratio)


def number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def with_unit(value: float, unit: str) -> str:
    text = f"{value:g}" if value == round(value, 2) else number(value)
    return f"{text}{unit}" if unit.startswith("/") else f"{text} {unit}"


def percent(share: float) -> str:
    return f"{share * 100:,.0f} %"


def show(console: Console, figures: Sequence[Figure]) -> None:
    table = Table(title_justify="left")
    for index, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if 2 <= index <= 5 else "left")
    for figure in figures:
        style = {None: "", True: "", False: "yellow"}[figure.is_reached]
        table.add_row(*map(escape, figure.cells()), style=style)
    console.print(table)


def as_markdown(figures: Sequence[Figure]) -> str:
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def machine() -> str:
    """The date, the processor and the versions: figures mean nothing without them."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {model}, {memory:.0f} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )
