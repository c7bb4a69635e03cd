"""Which tasks a numbered list shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.generation import MediaKind
from app.tasks.states import State


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Each part that is set narrows it. ``since`` in UTC seconds."""

    kind: MediaKind | None = None
    states: Sequence[State] = ()
    model: str | None = None
    ids: Sequence[str] | None = None
    since: float | None = None
