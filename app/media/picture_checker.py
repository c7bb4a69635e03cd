"""The child process that checks clients' pictures: it receives a path and answers whether the picture is whole.

Apart from the decoder of results, so that a client's picture never waits for a long film.
"""

import sys
from pathlib import Path
from typing import Any

from app.children.serving import SendNews, limit_memory, serve_orders
from app.media.pictures import UNREADABLE, check_picture


def run_order(order: dict[str, Any], send_news: SendNews) -> dict[str, Any]:
    """The answer: ``size`` in pixels, or the reason as ``refused``: ``large`` or ``broken``."""
    try:
        return {"size": check_picture(Path(order["paths"][0]).read_bytes())}
    except OverflowError:
        return {"refused": "large"}
    except UNREADABLE:
        return {"refused": "broken"}


if __name__ == "__main__":
    limit_memory(int(sys.argv[1]))
    serve_orders(run_order)
