"""Homes whose segment is known, because their days were drawn from it."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from energy_platform.domain.segments.shapes import BLOCK_DAYS, CELLS, HOURS, HomeProfiles

HOURS_OF_DAY = np.arange(HOURS)


def bump(hour: float, width: float) -> np.ndarray:
    away = np.minimum(np.abs(HOURS_OF_DAY - hour), HOURS - np.abs(HOURS_OF_DAY - hour))
    return np.exp(-0.5 * (away / width) ** 2)


SHAPES = {
    "evening-peak": 0.4 + 2.5 * bump(19, 2),
    "night": 0.3 + 4 * bump(3, 2),
    "midday": 0.4 + 2.5 * bump(13, 2.5),
    "two-peak": 0.3 + 2.2 * bump(7.5, 1.2) + 2.2 * bump(19, 1.5),
    "flat": np.ones(HOURS),
}


def planted(
    *, homes_each: int, kinds: tuple[str, ...], seed: int, spread: float = 0.15, level: float = 10.0
) -> tuple[HomeProfiles, np.ndarray]:
    """Profiles of homes drawn around some shapes, and the number of each one's shape."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(kinds)), homes_each)
    rng.shuffle(truth)
    base = np.stack([SHAPES[kind] for kind in kinds])[truth]
    own = base * np.exp(rng.normal(0, spread, base.shape))
    scale = level * 10 ** rng.uniform(-0.5, 0.5, len(truth))
    mean_kwh = own[:, None, None] * np.exp(rng.normal(0, spread / 3, (len(truth), 2, len(CELLS), HOURS)))
    mean_kwh *= scale[:, None, None, None] / HOURS
    ids = tuple(f"home-{number:03d}" for number in range(len(truth)))
    return HomeProfiles(ids, mean_kwh, np.full(mean_kwh.shape, 20.0)), truth


def as_blocks(profiles: HomeProfiles, *, cutoff: date, blocks: int = 13) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tables as dbt makes them: hour blocks before ``cutoff``, and the meters that count."""
    last = (cutoff - date(1969, 12, 29)).days // BLOCK_DAYS - 1
    numbers = range(last - blocks + 1, last + 1)
    rows = []
    for block in numbers:
        month = date.fromordinal(date(1969, 12, 29).toordinal() + block * BLOCK_DAYS + BLOCK_DAYS // 2).month
        for home in range(len(profiles)):
            for weekend in (False, True):
                cell = month % 12 // 3 * 2 + weekend
                mean, hours = profiles.mean_kwh[home, block % 2, cell], 8 if weekend else 20
                rows += [(home + 1, block, weekend, hour, float(mean[hour] * hours), hours) for hour in range(HOURS)]
    names = ["meter_no", "block_number", "is_weekend", "local_hour", "energy_kwh", "hours"]
    meters = pl.DataFrame(
        {
            "meter_no": range(1, len(profiles) + 1),
            "site_id": list(profiles.site_ids),
            "source": "homes",
            "commodity": "electricity",
            "is_in_site_total": True,
        }
    )
    return pl.DataFrame(rows, schema=names, orient="row"), meters
