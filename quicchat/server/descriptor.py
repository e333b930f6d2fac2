"""An open file that threads read: closed when its owner is done and the last of them, too. (spec 14-files)"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Descriptor:
    """Its number is nobody else's as long as anybody uses it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._lock = threading.Lock()
        self._users = 1

    def use(self, work: Callable[[int], T]) -> T:
        """Do something with the file. Raises OSError, also once closed."""
        with self._lock:
            if not self._users:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._users += 1
        try:
            return work(self._number)
        finally:
            self.close()

    def close(self) -> None:
        """To be called once by its owner."""
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            os.close(self._number)
