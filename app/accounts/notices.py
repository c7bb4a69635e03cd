"""What the operator should hear about: told to whoever listens, at once and in this process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Topic = Literal["account_disabled", "account_cooling_down", "no_available_account"]


@dataclass(frozen=True, slots=True)
class PoolNotice:
    """``data`` is JSON: names, ids, reasons, times in UTC seconds; never a secret."""

    topic: Topic
    data: Mapping[str, Any]


NoticeListener = Callable[[PoolNotice], None]
"""Returns at once and never raises: it is called where work goes on."""


class NoticePublisher:
    """The listeners, in the order in which they came."""

    def __init__(self) -> None:
        self._listeners: list[NoticeListener] = []

    def add_listener(self, listener: NoticeListener) -> None:
        self._listeners.append(listener)

    def publish(self, topic: Topic, **data: Any) -> None:
        for listener in self._listeners:
            listener(PoolNotice(topic, data))
