"""How often a key may ask: a bucket of tokens each, filled at an even rate.

Belongs here: counting in this process; servers behind one address each count for themselves. Does not belong here:
how often a device may be switched (domain/control/guard.py), which no number of servers changes.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

KEYS_REMEMBERED = 10_000


class RateLimiter:
    """Lets every key ask ``per_minute`` times a minute, and ``burst`` times at once.

    Example:
        >>> limiter = RateLimiter(per_minute=60, burst=2, clock=lambda: 0.0)
        >>> [limiter.take("key") for _ in range(3)]
        [0.0, 0.0, 1.0]
    """

    def __init__(
        self, *, per_minute: float, burst: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_minute / 60
        self._burst = float(burst if burst is not None else max(1, round(per_minute / 6)))
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """0 when the key may ask now, else the seconds until it may."""
        with self._lock:
            now = self._clock()
            tokens, at = self._buckets.pop(key, (self._burst, now))
            tokens = min(self._burst, tokens + (now - at) * self._per_second)
            wait = 0.0 if tokens >= 1 else (1 - tokens) / self._per_second
            self._buckets[key] = (tokens - 1 if wait == 0 else tokens, now)
            if len(self._buckets) > KEYS_REMEMBERED:
                self._buckets.popitem(last=False)
            return wait
