"""When too much voltage is believed: on so many of the last samples of a channel, not on one.

Belongs here: the window. Does not belong here: alerts about it (domain/alerts), what is done (streaming/control.py).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from energy_platform.domain.control.devices import ShutOff


@dataclass(slots=True)
class SpikeWatch:
    """The newest samples of one channel.

    Example:
        >>> watch = SpikeWatch(ShutOff(samples=2, of=3))
        >>> [watch.add(datetime(2024, 1, 1, 0, 0, second), volts) for second, volts in enumerate([310, 240, 310, 240])]
        [False, False, True, False]
    """

    rule: ShutOff
    samples: deque[tuple[datetime, float]] = field(default_factory=deque)

    def add(self, measured_at_utc: datetime, voltage_v: float) -> bool:
        """Take a sample; True when it is too high and enough of the last ones are, itself included."""
        self.samples.append((measured_at_utc, voltage_v))
        oldest = measured_at_utc - timedelta(seconds=self.rule.within_seconds)
        while len(self.samples) > self.rule.of or self.samples[0][0] < oldest:
            self.samples.popleft()
        high = sum(volts > self.rule.above_v for _, volts in self.samples)
        return voltage_v > self.rule.above_v and high >= self.rule.samples

    @property
    def evidence(self) -> str:
        """What was seen, in words."""
        high = [volts for _, volts in self.samples if volts > self.rule.above_v]
        highest = f", the highest {max(high):.1f} V" if high else ""
        return f"{len(high)} of the last {len(self.samples)} samples above {self.rule.above_v:g} V{highest}"
