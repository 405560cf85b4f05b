"""Columns that more than one table carries: one name, one type, one unit, one meaning each."""

import polars as pl

from energy_platform.domain.columns.model import UTC_TIME, bounded, column, one_of, optional

# --- identity
SOURCE = column("source", pl.String, "", "Name of the source declaration that the row came in by.")
SITE_ID = column("site_id", pl.String, "", "The household or building.")
METER_ID = column("meter_id", pl.String, "", "What measures: a supply meter or a metered device; unique over sources.")
METER_NO = bounded(
    column("meter_no", pl.Int32, "", "Number of a meter's channel in this warehouse; readings are stored under it."),
    minimum=1,
)
CHANNEL = column("channel", pl.String, "", "What the meter measures there: main, dev1, an appliance's name.")
COMMODITY = one_of(column("commodity", pl.String, "", "electricity or gas."), "electricity", "gas")
TIME_ZONE = column("time_zone", pl.String, "", "IANA zone of the site; its local days are counted in it.")
STATION_ID = column("station_id", pl.String, "", "Weather station or grid point.")
FILE_ID = column("file_id", pl.Int32, "", "Number of the landed file in lake.files; grows in order of loading.")

# --- time
INTERVAL_START_UTC = column("interval_start_utc", UTC_TIME, "UTC", "When the interval begins.")
INTERVAL_MINUTES = bounded(
    column("interval_minutes", pl.Int16, "min", "Length of the interval."), minimum=1, maximum=44_640
)
UTC_OFFSET_MINUTES = bounded(
    column("utc_offset_minutes", pl.Int16, "min", "Local time minus UTC at the site when the interval begins."),
    minimum=-720,
    maximum=840,
)
LOCAL_DATE = column("local_date", pl.Date, "", "Calendar day at the site; 46, 48 or 50 half-hours long.")
AVAILABLE_AT_UTC = column("available_at_utc", UTC_TIME, "UTC", "When the platform first knew the row.")
CUTOFF_DATE = column(
    "cutoff_date", pl.Date, "", "Local day at whose start the issuer stood: it knew only earlier days."
)
ISSUED_AT_UTC = column("issued_at_utc", UTC_TIME, "UTC", "When the row was really computed.")
LEAD_DAYS = column("lead_days", pl.Int8, "d", "Day ahead: 1 is the cutoff day itself, 7 is six days later.")

# --- quantities
ENERGY_KWH = column("energy_kwh", pl.Float64, "kWh", "Energy over the interval or day.")
QUALITY = one_of(column("quality", pl.String, "", "measured or estimated."), "measured", "estimated")
COMPLETENESS = column("completeness", pl.Float64, "share", "Readings present over readings expected, 0 to 1.")
ESTIMATED_SHARE = column("estimated_share", pl.Float64, "share", "Share of the readings that are estimated, 0 to 1.")
TEMPERATURE_C = bounded(column("temperature_c", pl.Float64, "°C", "Outdoor air temperature."), minimum=-90, maximum=60)
READINGS = column("readings", pl.Int64, "", "Distinct intervals that have a reading.")
EXPECTED_READINGS = column("expected_readings", pl.Int64, "", "Intervals that the local day has.")
P10_KWH = column("p10_kwh", pl.Float64, "kWh", "Forecast that 10 % of outcomes should fall below.")
P50_KWH = column("p50_kwh", pl.Float64, "kWh", "Median forecast.")
P90_KWH = column("p90_kwh", pl.Float64, "kWh", "Forecast that 90 % of outcomes should fall below.")
MODEL = column("model", pl.String, "", "Name of the forecaster: seasonal_naive, lightgbm.")
MODEL_VERSION = column("model_version", pl.String, "", "Version in the MLflow registry; null when it needs none.")
DETECTOR = column("detector", pl.String, "", "Name of the anomaly rule or model.")

# --- how good forecasts were
MAE_KWH = column("mae_kwh", pl.Float64, "kWh", "Mean absolute error of the median; 0 is best.")
RMSE_KWH = column("rmse_kwh", pl.Float64, "kWh", "Root mean squared error of the median; 0 is best.")
PINBALL_KWH = column("pinball_kwh", pl.Float64, "kWh", "Mean pinball loss over P10, P50 and P90; 0 is best.")
COVERAGE = column("coverage", pl.Float64, "share", "Share of outcomes within P10 to P90; 0.8 is right.")
SKILL = optional(column("skill", pl.Float64, "share", "1 - MAE / MAE of seasonal_naive on the same rows."))
WHY_ISSUED = optional(column("reason", pl.String, "", "Why this model was issued, in words."))
