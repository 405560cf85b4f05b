"""The files of the earlier sensor system's model: train and test folders, and ``predictions.txt``.

Belongs here: which rows and columns, and their text form. Does not belong here: where the files go
(defs/published); the CSV of the other earlier systems (exports.py).

That system kept what a gradient-boosting container reads: CSV without a header, the target first. Its
predictions were six scaled numbers of no unit; these are the issued forecast in kWh. The split is by time:
the newest 28 days are the test, so that nobody tests on days between those that were trained on.
"""

from __future__ import annotations

from io import BytesIO

import duckdb
import polars as pl

TEST_DAYS = 28
LAGS = (1, 2, 3, 4, 5, 6, 7)
COLUMNS = ("energy_kwh", *(f"lag_{lag}_kwh" for lag in LAGS), "weekday")

_LAGS_SQL = ", ".join(f"lag(energy_kwh, {lag}) OVER by_day AS lag_{lag}_kwh" for lag in LAGS)
_ROWS_SQL = f"""
WITH days AS (
    SELECT meter_id, channel, local_date, energy_kwh, isodow(local_date) AS weekday,
        max(local_date) OVER () AS newest, {_LAGS_SQL}, lag(local_date, {max(LAGS)}) OVER by_day AS oldest
    FROM marts.meter_days
    WHERE source = $source AND completeness >= 0.9
    WINDOW by_day AS (PARTITION BY meter_id, channel ORDER BY local_date)
)
SELECT newest - local_date < {TEST_DAYS} AS is_test, {", ".join(COLUMNS)}
FROM days WHERE local_date - oldest = {max(LAGS)}
ORDER BY meter_id, channel, local_date
"""
_PREDICTIONS_SQL = """
SELECT sum(p50_kwh) AS yhat FROM forecasts.meter_days
WHERE source = $source AND is_issued
  AND cutoff_date = (SELECT max(cutoff_date) FROM forecasts.meter_days WHERE source = $source AND is_issued)
GROUP BY local_date ORDER BY local_date
"""


def earlier_files(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, bytes]:
    """``train/train.csv``, ``test/test.csv``, ``columns.txt`` and ``predictions.txt`` of one source.

    A row is a complete day of a meter that follows seven complete days: ``COLUMNS``, in kWh, Monday is
    weekday 1. The predictions are one line: the kWh of each day of the newest issue, all meters together.

    Args:
        connection: to a published generation.
        source: name of the declaration.

    Returns:
        Bytes by path; empty when the source has no such day. Without a forecast there is no ``predictions.txt``.
    """
    rows = connection.execute(_ROWS_SQL, {"source": source}).pl()
    if rows.is_empty():
        return {}
    files = {
        "train/train.csv": _headerless(rows.filter(~pl.col("is_test"))),
        "test/test.csv": _headerless(rows.filter("is_test")),
        "columns.txt": (",".join(COLUMNS) + "\n").encode(),
    }
    predictions = connection.execute(_PREDICTIONS_SQL, {"source": source}).pl()["yhat"]
    if len(predictions):
        files["predictions.txt"] = (",".join(f"{value:.6g}" for value in predictions) + "\n").encode()
    return files


def _headerless(rows: pl.DataFrame) -> bytes:
    text = BytesIO()
    rows.select(COLUMNS).write_csv(text, include_header=False)
    return text.getvalue()
