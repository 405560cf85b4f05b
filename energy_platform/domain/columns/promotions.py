"""Contract of the promotion audit: every decision about who is champion, with what it was decided on."""

import polars as pl

from energy_platform.domain.columns.model import UTC_TIME, Table, bounded, column, one_of, optional
from energy_platform.domain.columns.shared import CUTOFF_DATE

VERDICTS = ("promoted", "kept", "no_skill", "refused_features", "refused_leakage", "rolled_back")

PROMOTIONS = Table(
    "models",
    "promotions",
    "decision about a champion; rows are only ever added",
    ("grain", "cutoff_date", "decided_at_utc"),
    (
        column("grain", pl.String, "", "What the champion forecasts: meter-day, fleet-hour."),
        CUTOFF_DATE,
        column("decided_at_utc", UTC_TIME, "UTC", "When the decision was made; of one cutoff the newest holds."),
        one_of(
            column("verdict", pl.String, "", f"What was decided: {', '.join(VERDICTS)}."),
            *VERDICTS,
        ),
        one_of(column("decided_by", pl.String, "", "training or person."), "training", "person"),
        optional(column("champion_before", pl.String, "", "Forecaster that was champion; null when naive was issued.")),
        optional(column("version_before", pl.String, "", "Its version in the registry.")),
        optional(column("champion_after", pl.String, "", "Forecaster that is champion now; null: naive is issued.")),
        optional(column("version_after", pl.String, "", "Its version in the registry.")),
        optional(column("challenger", pl.String, "", "Forecaster that was compared; null without one.")),
        optional(column("challenger_mae_kwh", pl.Float64, "kWh", "MAE of the challenger on the folds.")),
        optional(column("champion_mae_kwh", pl.Float64, "kWh", "MAE of the champion before on the same rows.")),
        optional(column("naive_mae_kwh", pl.Float64, "kWh", "MAE of the best naive forecast on the same rows.")),
        optional(column("difference_kwh", pl.Float64, "kWh", "MAE of what had to be beaten less the challenger's.")),
        optional(column("difference_low_kwh", pl.Float64, "kWh", "One-sided 95 % lower bound of the difference.")),
        optional(bounded(column("p_value", pl.Float64, "", "Of the paired test that decided; small is better."), 0, 1)),
        optional(column("skill", pl.Float64, "share", "1 - MAE of the challenger / MAE of the best naive forecast.")),
        column("fold_rows", pl.Int64, "", "Forecasts compared; the same for all."),
        column("fold_weeks", pl.Int64, "", "Weeks of target days they fall in: the clusters of the test."),
        column("fold_meters", pl.Int64, "", "Meters and channels they are of."),
        optional(column("first_fold_day", pl.Date, "", "First target day of the folds.")),
        optional(column("last_fold_day", pl.Date, "", "Last target day of the folds.")),
        column("reason", pl.String, "", "The decision in words, with its figures."),
    ),
)
