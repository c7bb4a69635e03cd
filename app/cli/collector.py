"""When the garbage collector runs: seldom while a process starts, then over what is new only."""

import gc


def postpone_collections() -> None:
    """Imports make much and drop little: rounds over it would be a tenth of the start."""
    gc.set_threshold(100_000, 50, 100)


def freeze_startup_objects() -> None:
    """What start-up made stays for good: no full round need walk it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
