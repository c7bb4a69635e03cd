"""The child's end: orders come in, news and one answer to each go out.

A child outlives nobody: when the other end of its input closes, however that came about, it ends at once.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

SendNews = Callable[[dict[str, Any]], None]
OrderFunction = Callable[[dict[str, Any], SendNews], dict[str, Any]]


def serve_orders(work: OrderFunction) -> NoReturn:
    """``work`` gets each order and a function that tells news; what it returns is the answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(5)
    line = _OutputPipe()
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()
    try:
        while True:
            order = orders.get()
            line.send_message({"taken": True})
            line.send_message({"answer": work(order, line.send_news)})
    finally:  # the usual way out would wait for the listening thread
        traceback.print_exc()
        os._exit(1)


def _read_orders(orders: "queue.SimpleQueue[dict[str, Any]]") -> NoReturn:
    for order in sys.stdin:
        orders.put(json.loads(order))
    os._exit(0)


class _OutputPipe:
    """The process's output, kept for itself: what a library prints goes to the error output instead."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send_news(self, news: dict[str, Any]) -> None:
        self.send_message({"news": news})

    def send_message(self, message: dict[str, Any]) -> None:
        try:
            print(json.dumps(message), file=self._out, flush=True)
        except BrokenPipeError:
            os._exit(0)
