"""The records of alerting: what a rule saw (a signal), the alert it became (an episode), and each turn of it (a step)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

Fact = str | float | int | None


class Severity(StrEnum):
    """How urgent: for the digest, for the day, at once."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Order of urgency, 0 to 2.

        Example:
            >>> Severity.CRITICAL.rank > Severity.WARNING.rank
            True
        """
        return list(Severity).index(self)


class EpisodeState(StrEnum):
    """Where an episode stands; ``recovered`` is its end."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RECOVERED = "recovered"


class StepKind(StrEnum):
    """What happened to an episode."""

    OPENED = "opened"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alert is about. The name is unique: ``esp32-1/main``, ``site home-7``, ``job publish``.

    Example:
        >>> Subject.of_channel("esp32-1", "main", site_id="home-7").name
        'esp32-1/main'
    """

    name: str
    site_id: str | None = None
    meter_id: str | None = None
    channel: str | None = None

    @classmethod
    def of_channel(cls, meter_id: str, channel: str, *, site_id: str | None = None) -> Subject:
        """A channel of a meter; without a known site the meter is its own, as in the lake."""
        return cls(f"{meter_id}/{channel}", site_id or meter_id, meter_id, channel)


@dataclass(frozen=True, slots=True)
class Signal:
    """What a rule says of a subject at one time: the condition holds, or it holds no longer.

    Args:
        rule: name of the rule.
        severity: of the rule, or of what it saw.
        subject: what it is about; an episode belongs to one rule and one subject.
        is_breach: the condition holds; ``False``: it is over.
        at_utc: time of the sample or day that decided it, not of the clock on the wall.
        title: a few words: ``Voltage spike at esp32-1/main``.
        text: one or two sentences with values and units.
        value: what was seen.
        limit: what it was held against.
        unit: of both.
        breaches: samples (days, runs) that this stands for.
        evidence: further facts, each shown by its name.
        link: path of the asset, chart or run in the Dagster UI: ``/assets/lake/telemetry``.
    """

    rule: str
    severity: Severity
    subject: Subject
    is_breach: bool
    at_utc: datetime
    title: str
    text: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    breaches: int = 1
    evidence: Mapping[str, Fact] = field(default_factory=dict)
    link: str = ""


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert's life, as it stands after its newest step.

    Args:
        episode_id: 16 hexadecimal digits made from rule, subject and opening time: the same samples give the same one.
        rule: name of the rule that opened it.
        severity: the highest so far.
        subject: what it is about.
        state: where it stands.
        title: of the newest signal.
        text: of the newest signal that was a breach.
        value: of the newest breach.
        worst_value: farthest from the limit so far.
        limit: of the newest breach.
        unit: of the values.
        breaches: samples (days, runs) that broke the rule so far.
        evidence: of the newest breach.
        link: where to look.
        opened_at_utc: time of the sample that opened it.
        newest_at_utc: time of its newest breach.
        step: number of its newest step; the first is 1.
        acknowledged_by: who said that they look after it.
        snoozed_until_utc: nobody is told before then.
        recovered_at_utc: time of the sample that ended it.
        revision: grows with every change, told or not; two writers at once are told apart by it.
    """

    episode_id: str
    rule: str
    severity: Severity
    subject: Subject
    state: EpisodeState
    title: str
    text: str
    value: float | None
    worst_value: float | None
    limit: float | None
    unit: str
    breaches: int
    evidence: Mapping[str, Fact]
    link: str
    opened_at_utc: datetime
    newest_at_utc: datetime
    step: int
    acknowledged_by: str | None = None
    snoozed_until_utc: datetime | None = None
    recovered_at_utc: datetime | None = None
    revision: int = 1

    @property
    def is_over(self) -> bool:
        """Whether it has recovered; what breaks the rule after that opens another episode."""
        return self.state is EpisodeState.RECOVERED


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of an episode, kept for good.

    Args:
        episode_id: of the episode.
        number: 1 for the opening, then counted up.
        kind: what happened.
        at_utc: when.
        by: who, when it was a person.
        is_told: whether people are sent a message.
    """

    episode_id: str
    number: int
    kind: StepKind
    at_utc: datetime
    by: str | None = None
    is_told: bool = True


@dataclass(frozen=True, slots=True)
class ConfirmedSpike:
    """A voltage spike that enough samples agree on: what a guarded shut-off acts upon.

    Args:
        rule: name of the rule that confirmed it.
        meter_id: of the meter.
        channel: of the meter.
        at_utc: time of the sample that confirmed it.
        voltage_v: of that sample.
        limit_v: of the rule.
        samples: so many samples above the limit …
        of_samples: … of the last so many.
    """

    rule: str
    meter_id: str
    channel: str
    at_utc: datetime
    voltage_v: float
    limit_v: float
    samples: int
    of_samples: int
