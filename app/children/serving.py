"""The child's side: reads orders, sends news and one answer to each.

The child ends at once when its input is closed, so it never outlives its parent.
"""

import contextlib
import json
import os
import resource
import select
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
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        for line in sys.stdin.buffer:
            pipe.send_message({"taken": True})
            pipe.send_message({"answer": work(json.loads(line), pipe.send_news)})
        os._exit(0)
    finally:  # sys.exit would wait for what libraries have started
        traceback.print_exc()
        os._exit(1)


def limit_memory(size: int) -> None:
    """Limit the address space to ``size`` bytes where the system supports it, and write no core dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _end_with_parent() -> NoReturn:
    """Also in the middle of an order. A hang-up is reported although nothing is asked for, and an order is not."""
    waiting = select.poll()
    waiting.register(sys.stdin, 0)
    waiting.poll()
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
