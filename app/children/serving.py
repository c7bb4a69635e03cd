"""The child's side: reads orders, sends news and one answer to each.

The child ends at once when its input is closed, so it never outlives its parent.
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
    """Run ``work`` for each order: it gets the order and a function that sends news, and returns the answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(5)
    pipe = _OutputPipe()
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()
    try:
        while True:
            order = orders.get()
            pipe.send_message({"taken": True})
            pipe.send_message({"answer": work(order, pipe.send_news)})
    finally:  # sys.exit would wait for the reading thread
        traceback.print_exc()
        os._exit(1)


def _read_orders(orders: "queue.SimpleQueue[dict[str, Any]]") -> NoReturn:
    for order in sys.stdin:
        orders.put(json.loads(order))
    os._exit(0)


class _OutputPipe:
    """The pipe to the parent. What libraries print to standard output goes to the error output instead."""

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
