"""Sending again: how long to wait after a failure, and when to give up.

A message is sent by whoever holds its lease. A process that dies after the other side has taken the message and before
that is written down leaves a lease that runs out, and the message is sent again: at least once. The delivery key goes
out with it, so that a receiver that keeps keys (a webhook, an SNS FIFO topic) takes it once all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LEASE = timedelta(seconds=60)
"""Longer than any channel's time-out: who still sends is never overtaken."""
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)
MOST_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Retry:
    """After a failed attempt: when the next one is due, or ``None`` when it was the last."""

    next_at_utc: datetime | None


def after_failure(attempts: int, *, now_utc: datetime) -> Retry:
    """What to do after so many failed attempts: 5 s, 10 s, 20 s … up to an hour apart, 20 in all, over ten hours.

    Example:
        >>> after_failure(1, now_utc=datetime(2024, 1, 1)).next_at_utc
        datetime.datetime(2024, 1, 1, 0, 0, 5)
        >>> after_failure(20, now_utc=datetime(2024, 1, 1)).next_at_utc is None
        True
    """
    if attempts >= MOST_ATTEMPTS:
        return Retry(None)
    return Retry(now_utc + min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT))
