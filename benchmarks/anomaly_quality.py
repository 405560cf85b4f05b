"""How good the detectors and their severity are on faults planted in real homes, beside PyOD's defaults.

    .venv/bin/python benchmarks/anomaly_quality.py --lcl FOLDER [--weather FOLDER] [--faults]

Homes of a Low Carbon London folder with a full year, every other one for learning: its days before a cutoff give
the weights, calibrations and limits (domain/anomalies/training.py). The other homes are judged on the eight weeks
after the cutoff, with faults planted that nothing was learned from. Detectors themselves learn, without labels, from
the half year before the cutoff. Two cutoffs, every fault and magnitude equally often, one fault in four weeks.

Every detector, the severity and the peers are held to 0.1 false alarms a meter-week (runs of days; one in ten weeks)
on the good days of the judged homes: ``F1`` there. (The combination's shape was chosen with the roles swapped.) ``F1*`` is with the limit that the *other* homes gave, and
``alarms*`` what it came to. Peers are PyOD's IForest, KNN and ECOD as they come, on the same ten numbers of a day.
"""

import argparse
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from lcl_days import household_days
from measured import markdown, say

from energy_platform.domain.anomalies.days import Floats, Singles
from energy_platform.domain.anomalies.detectors import DAY_DETECTORS
from energy_platform.domain.anomalies.detectors.outliers import Learned, Outliers
from energy_platform.domain.anomalies.protocol import Detector, Grain
from energy_platform.domain.anomalies.records import Alarms, Examples, alarms_at_limits, average_precision, record_rows
from energy_platform.domain.anomalies.severity import NAME, limit_for, numbers, planted_days
from energy_platform.domain.anomalies.training import HELD_OUT_DAYS, HISTORY_DAYS, examples_of, fit_all, learn_severity

CUTOFFS = (date(2013, 7, 15), date(2013, 11, 4))
JUDGED_DAYS = 56
FULL_YEAR_DAYS = 360
SEED = 20260101
TURNS = 11
PER_METER_WEEK = 0.1
PEERS = ("pyod_iforest", "pyod_knn", "pyod_ecod")


@dataclass(frozen=True, slots=True)
class Peer:
    """A PyOD model's own outlier score."""

    model: Any

    def __call__(self, matrix: Singles) -> Floats:
        """The scores."""
        found: Floats = self.model.decision_function(matrix.astype(np.float64))
        return found


def peers() -> dict[str, Detector]:
    """PyOD's defaults behind the protocol."""
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN

    def learner(kind: Any, options: Mapping[str, Any]) -> Any:
        return lambda matrix: Learned(Peer(kind(**options).fit(matrix.astype(np.float64))), kind.__name__)

    kinds = ((IForest, {"random_state": SEED}), (KNN, {}), (ECOD, {}))
    return {
        name: Outliers(name, Grain.HOUSEHOLD_DAY, learner(kind, options), name)
        for name, (kind, options) in zip(PEERS, kinds, strict=True)
    }


def judge(days: pl.DataFrame, cutoff: date, homes: list[str]) -> list[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]:
    """Records at equal false alarms, records at learned limits, and PR-AUC, of the homes not learned from."""
    learning, judging = homes[1::2], homes[::2]
    detectors = DAY_DETECTORS | peers()
    rows = days.filter(pl.col("meter_id").is_in(homes))
    own = {name: detector for name, detector in detectors.items() if name not in PEERS}
    known = rows.filter(pl.col("local_date") < cutoff, pl.col("local_date") >= cutoff - timedelta(days=HISTORY_DAYS))
    taught, border = known.filter(pl.col("meter_id").is_in(learning)), cutoff - timedelta(days=HELD_OUT_DAYS)
    earlier, refused = fit_all(own, taught.filter(pl.col("local_date") < border))
    learned_on = examples_of(earlier, taught.filter(pl.col("local_date") >= border), seed=SEED)
    severity = learn_severity(earlier, learned_on)
    for name, why in refused.items():
        say(f"{name}: {why}")
    fitted, _ = fit_all(detectors, known)
    ahead = rows.filter(
        pl.col("meter_id").is_in(judging),
        pl.col("local_date").is_between(cutoff, cutoff + timedelta(days=JUDGED_DAYS - 1)),
    )
    judged = examples_of(fitted, ahead, seed=SEED + 1, turns=TURNS)
    say(f"{cutoff}: {severity.note}")
    ours = replace(judged, good=_only(judged.good, own), scores=tuple(_only(world, own) for world in judged.scores))
    learned_limits = record_rows(ours, alarms_at_limits(learned_on, ours, severity, per_meter_week=PER_METER_WEEK))
    combined = {NAME: severity.judge(ours.good).combined}
    worlds = [{NAME: severity.judge(world).combined} for world in ours.scores]
    for name in judged.good:
        combined[name] = numbers(judged.good[name])
        for world, scores in zip(worlds, judged.scores, strict=True):
            world[name] = numbers(scores[name])
    alarms, areas = {}, []
    for name, good in combined.items():
        limit = limit_for(good, judged.keys, per_meter_week=PER_METER_WEEK)
        alarms[name] = Alarms(_beyond(good, limit), tuple(_beyond(world[name], limit) for world in worlds))
        areas.append({"detector": name, "pr_auc": _area(judged, [world[name] for world in worlds])})
    return [(record_rows(judged, alarms), learned_limits, pl.DataFrame(areas))]


def _only(scores: Mapping[str, pl.DataFrame], names: Mapping[str, object]) -> dict[str, pl.DataFrame]:
    return {name: frame for name, frame in scores.items() if name in names}


def _beyond(scores: Floats, limit: float) -> Any:
    return np.nan_to_num(scores, nan=-np.inf) > limit


def _area(judged: Examples, scores: list[Floats]) -> float | None:
    flags = [planted_days(world.rows, world.labels) for world in judged.planted]
    kept = [
        flag | ~planted_days(world.rows, world.labels, excused=True)
        for flag, world in zip(flags, judged.planted, strict=True)
    ]
    return average_precision(
        np.concatenate([one[keep] for one, keep in zip(scores, kept, strict=True)]),
        np.concatenate([one[keep] for one, keep in zip(flags, kept, strict=True)]),
    )


def summed(records: list[pl.DataFrame]) -> pl.DataFrame:
    """Records of several cutoffs as one."""
    by = ["detector", "fault", "magnitude"]
    counts = (
        pl.concat(records)
        .group_by(by, maintain_order=True)
        .agg(
            pl.col("events", "detected", "false_alarms", "meter_weeks").sum(),
            false=(pl.col("false_alarms_per_meter_week") * pl.col("meter_weeks")).sum(),
            days=pl.col("median_days_to_detect").mean(),
        )
    )
    return counts.with_columns(
        recall=pl.col("detected") / pl.col("events"),
        precision=pl.col("detected") / (pl.col("detected") + pl.col("false_alarms")),
        f1=2 * pl.col("detected") / (pl.col("detected") + pl.col("false_alarms") + pl.col("events")),
        rate=pl.col("false") / pl.col("meter_weeks"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lcl", type=Path, required=True)
    parser.add_argument("--weather", type=Path)
    parser.add_argument("--faults", action="store_true", help="also a table by fault and magnitude")
    arguments = parser.parse_args()
    days = household_days(arguments.lcl, weather=arguments.weather)
    counted = days.group_by("meter_id").len().filter(pl.col("len") >= FULL_YEAR_DAYS)
    homes: list[str] = counted["meter_id"].sort().to_list()
    found = [part for cutoff in CUTOFFS for part in judge(days, cutoff, homes)]
    equal, learned = (summed([part[place] for part in found]) for place in (0, 1))
    areas = pl.concat([part[2] for part in found]).group_by("detector").agg(pl.col("pr_auc").mean())
    total = (
        equal.filter(fault="all")
        .join(areas, on="detector")
        .join(
            learned.filter(fault="all").select("detector", f1_learned="f1", rate_learned="rate"),
            on="detector",
            how="left",
        )
    )
    total = total.sort("f1", descending=True)
    print(f"{len(homes[::2])} judged homes, {len(CUTOFFS)} cutoffs, {total['events'][0]} planted faults\n")
    columns = ["recall", "precision", "f1", "pr_auc", "rate", "days", "f1_learned", "rate_learned"]
    header = ["detector", "recall", "precision", "F1", "PR-AUC", "alarms", "days", "F1*", "alarms*"]
    print(markdown(header, [[row["detector"], *(row[name] for name in columns)] for row in total.to_dicts()]))
    if arguments.faults:
        print(_fault_table(equal))
    first = total["detector"][0]
    seconds = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    print(f"\nbest: {first}; CPU {seconds:.0f} s")
    if first != NAME:
        sys.exit(f"{first} is better than the severity")


def _fault_table(equal: pl.DataFrame) -> str:
    """Recall and days to detect of the severity by fault and magnitude, and the best single detector there."""
    each = equal.filter(pl.col("magnitude") > 0)
    own = each.filter(detector=NAME)
    best = (
        each.filter(pl.col("detector") != NAME, ~pl.col("detector").is_in(PEERS))
        .sort("recall", descending=True)
        .group_by("fault", "magnitude", maintain_order=True)
        .first()
        .select("fault", "magnitude", best="detector", best_recall="recall")
    )
    rows = own.join(best, on=["fault", "magnitude"]).sort("fault", "magnitude")
    chosen = ["fault", "magnitude", "events", "recall", "days", "best", "best_recall"]
    header = ["fault", "magnitude", "events", "recall", "days", "best single", "its recall"]
    return "\n" + markdown(header, [[row[name] for name in chosen] for row in rows.to_dicts()])


if __name__ == "__main__":
    main()
