"""Every dialect, alphabetical, one line each. A dialect that is not listed is not served."""

from collections.abc import Sequence
from importlib import import_module

from app.dialects.base import Dialect
from app.ops.envelope import EnvelopesByPath
from app.tasks.task import parse_task_id

DIALECT_NAMES = (
    "account_api",
    "anthropic",
    "ark",
    "features",
    "new_api",
    "openai_chat",
    "openai_images",
    "openai_relayed",
    "openai_videos",
    "openrouter",
    "unified",
)


def load_dialect(name: str) -> Dialect:
    """An instance of the one subclass of ``Dialect`` that ``<name>/answer.py`` defines."""
    module = import_module(f"{__package__}.{name}.answer")
    (dialect_class,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Dialect) and value.__module__ == module.__name__
    ]
    return dialect_class()


DIALECTS: tuple[Dialect, ...] = tuple(load_dialect(name) for name in DIALECT_NAMES)


def envelopes_by_path(dialects: Sequence[Dialect] = DIALECTS) -> EnvelopesByPath:
    """The error envelope of each dialect that does not use the gateway's own."""
    return EnvelopesByPath(
        {prefix: dialect.error_envelope for dialect in dialects for prefix in dialect.error_prefixes}
    )


def task_id_of(name: str) -> str | None:
    """The 32 hex digits of a task id in any dialect's form; None for other text."""
    return parse_task_id(name, prefixes=[dialect.id_prefix for dialect in DIALECTS])
