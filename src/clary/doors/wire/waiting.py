"""How many requests may wait for something at once, so that threads are left for all others."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Seats:
    """A number of seats in a waiting room."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    @contextmanager
    def take(self) -> Iterator[bool]:
        """Hold a seat until the block ends, if one is free; says whether one was."""
        taken = self._free.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._free.release()


RECEIVERS = Seats(24)
"""Of messages that are not there yet."""
CALLERS = Seats(24)
"""Of functions that have not returned yet."""
QUERIES = Seats(16)
"""Of queries that have not ended yet."""
