"""What a process does once for its whole life."""

from __future__ import annotations

import gc

from quicchat.__main__ import _settle


def test_what_outlives_the_first_look_for_garbage_is_spared_the_next_ones() -> None:
    """Issue "no loop stall > 100 ms": a full look at thousands of modules and widgets takes long; there is only one."""
    gc.unfreeze()
    if _settle not in gc.callbacks:
        gc.callbacks.append(_settle)
    try:
        gc.collect(1)
        assert gc.get_freeze_count() == 0
        gc.collect()
        frozen = gc.get_freeze_count()
        assert frozen > 10_000
        assert _settle not in gc.callbacks
        gc.collect()
        assert gc.get_freeze_count() <= frozen
    finally:
        gc.unfreeze()
