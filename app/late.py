"""Modules that only some processes use: each is loaded with the first use of one of its names."""

from importlib import import_module
from typing import Any


class LateModule:
    """Stands where ``import`` of the module would. For mypy and the import contracts the real one is imported beside it,
    under ``TYPE_CHECKING``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)
