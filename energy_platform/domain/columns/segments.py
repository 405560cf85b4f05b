"""Contracts of the segments: who is in which, their shapes, the evidence, drift, comparisons, young homes' hours."""

import polars as pl

from energy_platform.domain.columns.model import Table, bounded, column, one_of, optional
from energy_platform.domain.columns.shared import COMMODITY, CUTOFF_DATE, ENERGY_KWH, SITE_ID, SOURCE

SEGMENT = column("segment", pl.String, "", "Segment of homes, named after its shape; all: there are none; unknown.")
SEASON = one_of(column("season", pl.String, "", "Quarter by its months."), "dec-feb", "mar-may", "jun-aug", "sep-nov")
IS_WEEKEND = column("is_weekend", pl.Boolean, "", "Saturday or Sunday at the site.")
LOCAL_HOUR = bounded(column("local_hour", pl.Int8, "h", "Hour of the day at the site."), minimum=0, maximum=23)
_SHARE = "share"

SEGMENT_MEMBERS = Table(
    "segments",
    "members",
    "source, commodity, refit and home",
    ("source", "commodity", "cutoff_date", "site_id"),
    (
        SOURCE,
        COMMODITY,
        CUTOFF_DATE,
        SITE_ID,
        SEGMENT,
        optional(
            bounded(column("distance", pl.Float64, "", "To the centre of its segment; null without segments."), 0)
        ),
        bounded(column("known_cells", pl.Int16, "", "Seasons by kind of day that are known of it."), 0, 8),
        column("is_fitted", pl.Boolean, "", "Whether the segments were made of it; others are put to the nearest."),
    ),
)
SEGMENT_SHAPES = Table(
    "segments",
    "shapes",
    "source, commodity, refit, segment, season, kind of day and local hour",
    ("source", "commodity", "cutoff_date", "segment", "season", "is_weekend", "local_hour"),
    (
        SOURCE,
        COMMODITY,
        CUTOFF_DATE,
        SEGMENT,
        SEASON,
        IS_WEEKEND,
        LOCAL_HOUR,
        bounded(column("share", pl.Float64, _SHARE, "Part of the day's energy in the hour, mean of its homes."), 0, 1),
        bounded(column("day_level", pl.Float64, "", "Such a day's energy over the home's mean day of the season."), 0),
        bounded(column("homes", pl.Int32, "", "Homes that the mean is taken over."), minimum=1),
    ),
)
SEGMENT_CHOICES = Table(
    "segments",
    "choices",
    "source, commodity, refit and number of segments that was weighed",
    ("source", "commodity", "cutoff_date", "k"),
    (
        SOURCE,
        COMMODITY,
        CUTOFF_DATE,
        bounded(column("k", pl.Int16, "", "Number of segments; 1 is none."), 1, 8),
        bounded(column("homes", pl.Int32, "", "Homes that were looked at: those with every season known."), 0),
        optional(bounded(column("silhouette", pl.Float64, "", "Mean silhouette; 1 is far apart, 0 touching."), -1, 1)),
        optional(
            column("gap", pl.Float64, "", "Log spread of even points less that of the homes; above 0 is tighter.")
        ),
        optional(column("gap_se", pl.Float64, "", "Standard error of the gap.")),
        optional(column("subsample_ari", pl.Float64, "", "Mean adjusted Rand index with subsamples of 80 % of homes.")),
        optional(column("bootstrap_ari", pl.Float64, "", "The same with bootstrap draws of homes, with replacement.")),
        optional(column("bootstrap_ari_p10", pl.Float64, "", "A tenth of the bootstrap draws lie below.")),
        optional(column("bootstrap_ari_p90", pl.Float64, "", "A tenth lie above.")),
        optional(
            column("heldout_error", pl.Float64, _SHARE, "Energy of homes kept out that lies in other hours than said.")
        ),
        optional(column("heldout_gain", pl.Float64, _SHARE, "1 - that error / the error without segments.")),
        optional(column("heldout_gain_se", pl.Float64, _SHARE, "Standard error of the gain, over homes.")),
        column("is_chosen", pl.Boolean, "", "Whether this is how many segments there are."),
        column("reason", pl.String, "", "Why, or why not, in words."),
    ),
)
SEGMENT_DRIFT = Table(
    "segments",
    "drift",
    "source, commodity and refit that follows another",
    ("source", "commodity", "cutoff_date"),
    (
        SOURCE,
        COMMODITY,
        CUTOFF_DATE,
        column("before_date", pl.Date, "", "Cutoff of the refit before."),
        bounded(column("homes", pl.Int32, "", "Homes that both put into a segment."), minimum=1),
        bounded(column("changed_share", pl.Float64, _SHARE, "Part of them that is in another segment now."), 0, 1),
        bounded(column("movement", pl.Float64, _SHARE, "Energy that the segments' shapes moved to other hours."), 0, 1),
        column("became", pl.String, "", "Which segment goes on which."),
    ),
)
SEGMENT_COMPARISONS = Table(
    "segments",
    "comparisons",
    "home, commodity and complete local month with at least five peers in its segment",
    ("site_id", "commodity", "local_month"),
    (
        SITE_ID,
        SOURCE,
        COMMODITY,
        column("local_month", pl.Date, "", "First day of the month at the site."),
        SEGMENT,
        ENERGY_KWH,
        bounded(column("peers", pl.Int32, "", "Other homes of its segment with that month."), minimum=5),
        column("lower_quartile_kwh", pl.Float64, "kWh", "A quarter of the segment's homes used less."),
        column("median_kwh", pl.Float64, "kWh", "Half of them used less."),
        column("upper_quartile_kwh", pl.Float64, "kWh", "Three quarters of them used less."),
        bounded(column("share_below", pl.Float64, _SHARE, "Part of the other homes that used less."), 0, 1),
    ),
)
SEGMENT_EXPECTED_HOURS = Table(
    "segments",
    "expected_hours",
    "home with less than four weeks of readings, commodity, kind of day and local hour",
    ("site_id", "commodity", "is_weekend", "local_hour"),
    (
        SITE_ID,
        SOURCE,
        COMMODITY,
        CUTOFF_DATE,
        SEGMENT,
        SEASON,
        IS_WEEKEND,
        LOCAL_HOUR,
        bounded(column("known_days", pl.Float64, "d", "Days of readings that the home has."), 0, 28),
        bounded(
            column("own_weight", pl.Float64, _SHARE, "Weight of the home's own hours; the rest is its segment."), 0, 1
        ),
        column("expected_kwh", pl.Float64, "kWh", "Expected energy of the hour: its own level, its segment's shape."),
    ),
)
SEGMENT_TABLES = (
    SEGMENT_MEMBERS,
    SEGMENT_SHAPES,
    SEGMENT_CHOICES,
    SEGMENT_DRIFT,
    SEGMENT_COMPARISONS,
    SEGMENT_EXPECTED_HOURS,
)
