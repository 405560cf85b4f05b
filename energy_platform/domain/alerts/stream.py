"""Rules of the stream: samples and averages against limits, batch by batch.

What is remembered of a rule and a channel is a ``Window``; it is handed in and given back, so that a process that
starts again goes on where the one before it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from energy_platform.domain.alerts.records import ConfirmedSpike, Signal, Subject
from energy_platform.domain.alerts.rules import StreamRule, ThresholdRule, VoltageSpikeRule
from energy_platform.domain.alerts.windows import Turn, Window, slide
from energy_platform.domain.alerts.words import broken, over
from energy_platform.domain.live.samples import Key
from energy_platform.domain.live.state import Advanced, micros_of, utc_of

LINK = "/assets/lake/telemetry"
READINGS_LINK = "/assets/lake/readings"
EVIDENCE_VALUES = 10

WindowKey = tuple[str, str, str, str]
"""Rule, meter, channel, quantity."""


@dataclass(slots=True)
class Verdict:
    """What the rules make of a batch.

    Args:
        signals: in order of rule and time.
        windows: those that changed, by their key.
        spikes: voltage spikes that were confirmed in this batch.
    """

    signals: list[Signal] = field(default_factory=list)
    windows: dict[WindowKey, Window] = field(default_factory=dict)
    spikes: list[ConfirmedSpike] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The values that a rule looks at: the samples, or the averages of five."""

    advanced: Advanced
    at_us: Sequence[int]
    values: Sequence[float]
    of: str


def judge(
    rules: Iterable[StreamRule],
    batch: Sequence[Advanced],
    windows: Mapping[WindowKey, Window],
    *,
    site_of: Mapping[str, str],
) -> Verdict:
    """Hold the new samples of a batch against the rules.

    Args:
        rules: enabled rules of the stream.
        batch: what ``live.advance`` made of each series.
        windows: what is remembered; a missing one is empty.
        site_of: the site of a meter, where it is known.
    """
    verdict = Verdict()
    for rule in rules:
        for advanced in batch:
            live = advanced.value
            if not rule.looks_at(live.quantity, live.commodity, live.unit):
                continue
            if rule.is_for(live.meter_id, live.channel):
                _judge(rule, _seen_by(rule, advanced), windows, verdict, site_of.get(live.meter_id))
    return verdict


def window_key(rule: str, key: Key) -> WindowKey:
    """What a window is kept under."""
    return (rule, *key)


def _judge(
    rule: StreamRule,
    seen: _Seen,
    windows: Mapping[WindowKey, Window],
    verdict: Verdict,
    site_id: str | None,
) -> None:
    if not seen.values:
        return
    key = window_key(rule.name, seen.advanced.value.key)
    before = windows.get(key, Window())
    after, turns = slide(before, rule.limit, seen.at_us, seen.values)
    if not turns and after.bits == before.bits == 0 and not after.is_broken:
        return  # calm as it was: not worth a row
    verdict.windows[key] = after
    was_broken = before.is_broken
    for turn in turns:
        verdict.signals.append(_signal(rule, seen, turn, site_id))
        if turn.is_breach and not was_broken and isinstance(rule, VoltageSpikeRule):
            verdict.spikes.append(_spike(rule, seen, turn))
        was_broken = turn.is_breach


def _seen_by(rule: StreamRule, advanced: Advanced) -> _Seen:
    if isinstance(rule, ThresholdRule) and rule.of == "averages":
        averages = advanced.averages
        stamps = [micros_of(each.at_utc) for each in averages]
        return _Seen(advanced, stamps, [each.average for each in averages], "averages")
    return _Seen(advanced, advanced.at_us, advanced.values, "samples")


def _signal(rule: StreamRule, seen: _Seen, turn: Turn, site_id: str | None) -> Signal:
    live, limit, value = seen.advanced.value, rule.limit, seen.values[turn.position]
    subject = Subject.of_channel(live.meter_id, live.channel, site_id=site_id)
    newest = seen.values[max(0, turn.position + 1 - EVIDENCE_VALUES) : turn.position + 1]
    words = (
        broken(live.quantity, value, limit, live.unit, of=seen.of)
        if turn.is_breach
        else over(value, limit, live.unit, of=seen.of)
    )
    return Signal(
        rule=rule.name,
        severity=rule.severity,
        subject=subject,
        is_breach=turn.is_breach,
        at_utc=_at(seen, turn),
        title=f"{rule.title} at {subject.name}",
        text=words,
        value=value,
        limit=limit.value,
        unit=live.unit,
        breaches=turn.breaches,
        evidence={
            "quantity": live.quantity,
            "commodity": live.commodity,
            f"newest {seen.of}": ", ".join(f"{each:g}" for each in newest),
        },
        link=READINGS_LINK if live.quantity == "energy_kwh" else LINK,
    )


def _spike(rule: VoltageSpikeRule, seen: _Seen, turn: Turn) -> ConfirmedSpike:
    live = seen.advanced.value
    return ConfirmedSpike(
        rule.name,
        live.meter_id,
        live.channel,
        at_utc=_at(seen, turn),
        voltage_v=seen.values[turn.position],
        limit_v=rule.above_v,
        samples=rule.samples,
        of_samples=rule.of_samples,
    )


def _at(seen: _Seen, turn: Turn) -> datetime:
    return utc_of(seen.at_us[turn.position])
