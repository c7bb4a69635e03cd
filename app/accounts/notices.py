"""Notices for the operator, published to the listeners of this process at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Topic = Literal["account_disabled", "account_recovered", "account_cooling_down", "no_available_account"]


@dataclass(frozen=True, slots=True)
class PoolNotice:
    """``data`` is JSON: names, ids, reasons, times in UTC seconds; never a secret."""

    topic: Topic
    data: Mapping[str, Any]


NoticeListener = Callable[[PoolNotice], None]
"""Must return at once and never raise: it is called in the middle of other work."""


class NoticePublisher:
    """Calls its listeners in the order in which they were added."""

    def __init__(self) -> None:
        self._listeners: list[NoticeListener] = []

    def add_listener(self, listener: NoticeListener) -> None:
        self._listeners.append(listener)

    def publish(self, topic: Topic, **data: Any) -> None:
        for listener in self._listeners:
            listener(PoolNotice(topic, data))
