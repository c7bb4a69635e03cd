"""Modules that only some processes use: each is loaded with the first use of one of its names."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


class LateModule:
    """Stands where ``import`` of the module would. For mypy and the import contracts the real one is imported beside it,
    under ``TYPE_CHECKING``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


@contextmanager
def uncollected() -> Iterator[None]:
    """For imports: what they make lives until the process ends. Looking for garbage in it took a fifth of a start."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
