"""`filmgate`, killed at one exact moment of a change of the root key.

``MORTAL=link:before`` (or ``after``): around giving the old key its second name; ``replace:…``: around the new key
taking its place; ``accounts:…``: around the commit that seals that table anew (see ``tests/faults/mortal.py``).
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.mortal import WHAT, WHEN, main


def _around(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    def done(*given: Any) -> Any:
        if (name, "before") == (WHAT, WHEN):
            os.kill(os.getpid(), signal.SIGKILL)
        answer = work(*given)
        if (name, "after") == (WHAT, WHEN):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return done


os.link = _around("link", os.link)
Path.replace = _around("replace", Path.replace)  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
