"""When somebody must know: rules as data, samples and days against them, the life of one alert.

Belongs here: what a rule may say, N of M with hysteresis, the states of an episode, who is told and when, in words.
Does not belong here: yml files (adapters/alert_rules.py), what is kept (adapters/operations), how a message is sent
(adapters/notify), what a detector calls anomalous (domain/anomalies).
"""

from energy_platform.domain.alerts.records import (
    ConfirmedSpike,
    Episode,
    EpisodeState,
    Severity,
    Signal,
    Step,
    StepKind,
    Subject,
)

__all__ = ["ConfirmedSpike", "Episode", "EpisodeState", "Severity", "Signal", "Step", "StepKind", "Subject"]
