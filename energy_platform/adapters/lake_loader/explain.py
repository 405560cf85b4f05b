"""Words for rejected rows: the column at fault, what was found there and what would be right."""

from __future__ import annotations

import polars as pl

from energy_platform.adapters.lake_loader.plan import FilePlan
from energy_platform.domain.readings import Reason
from energy_platform.domain.sources import Csv, TelemetrySource


def explained(plan: FilePlan, rows: pl.DataFrame) -> pl.DataFrame:
    """Rejected rows as lake.rejected wants them.

    Of a wide table the raw text is the stamp and the one cell: the line has many that are right.
    """
    reasons = set(rows["reason"].unique())
    texts = {reason: said for reason, said in _words(plan).items() if reason.value in reasons}
    is_reason = {reason: pl.col("reason") == reason.value for reason in texts}
    form = plan.declaration.format
    delimiter = form.delimiter if isinstance(form, Csv) else ","
    nothing = pl.lit(None, pl.String)
    value = pl.col("value_text").fill_null("") if "value_text" in rows.columns else pl.lit("")
    cell = pl.concat_str(pl.col("stamp_text").fill_null(""), pl.lit(delimiter), value)
    return rows.select(
        "file_id",
        "line_number",
        pl.coalesce("raw_text", cell) if plan.wide else "raw_text",
        "reason",
        column_name=pl.coalesce(nothing, *(pl.when(is_reason[r]).then(name) for r, (name, _) in texts.items())),
        detail=pl.coalesce(nothing, *(pl.when(is_reason[r]).then(text) for r, (_, text) in texts.items())),
    )


def _words(plan: FilePlan) -> dict[Reason, tuple[pl.Expr, pl.Expr]]:
    """Column at fault and explanation by reason."""
    declaration = plan.declaration
    is_telemetry = isinstance(declaration, TelemetrySource)
    stamp = pl.col("stamp_text")
    value = (
        pl.concat_str(f"value_{index}" for index in range(len(plan.values))) if is_telemetry else pl.col("value_text")
    )
    key = plan.meter.position if plan.meter.position is not None else plan.channel.position
    key_name = pl.lit(plan.header[key] if key is not None else None, pl.String)
    width = pl.format("{} cells where the header has {}", "width", pl.lit(len(plan.header)))
    stamp_name, value_name = pl.lit(declaration.timestamp.column), pl.col("value_name")
    formats = pl.lit(", ".join(declaration.timestamp.formats))
    zone = pl.lit(declaration.timestamp.zone)
    encoding = declaration.format.encoding if isinstance(declaration.format, Csv) else "utf-8"
    quote = declaration.format.quote if isinstance(declaration.format, Csv) else ""
    # In a wide table a fault of the row is told of each of its cells, so that file, line and column stay a key.
    stamp_name, key_name = (value_name, value_name) if plan.wide else (stamp_name, key_name)
    nowhere = value_name if plan.wide else pl.lit(None, pl.String)

    def column(position: int | None) -> pl.Expr:
        return value_name if plan.wide else pl.lit(None if position is None else plan.header[position], pl.String)

    return {
        Reason.INVALID_ENCODING: (nowhere, pl.lit(f"bytes that are not {encoding}")),
        Reason.LINE_TOO_LONG: (nowhere, pl.lit("the line does not end within 2 MB")),
        Reason.BAD_QUOTES: (nowhere, pl.lit(f"quotation marks {quote} that do not pair up")),
        Reason.NOT_JSON: (nowhere, pl.lit("it must be one JSON object")),
        Reason.MISSING_CELLS: (nowhere, width),
        Reason.EXTRA_CELLS: (nowhere, width),
        Reason.NO_KEY: (key_name, pl.lit("nothing that names the meter, channel or site")),
        Reason.BAD_TIMESTAMP: (stamp_name, pl.format("'{}' is not within 1970 to 2039 in {}", stamp, formats)),
        Reason.NONEXISTENT_TIME: (stamp_name, pl.format("'{}' was skipped in {}", stamp, zone)),
        Reason.NULL_VALUE: (value_name, pl.format("'{}' stands for no value", value)),
        Reason.NOT_A_NUMBER: (value_name, pl.format("'{}' is no number", value)),
        Reason.BAD_INTERVAL: (
            column(plan.interval),
            pl.format("'{}' is no length in minutes, 1 to 44640", "interval_text"),
        ),
        Reason.BAD_COMMODITY: (column(plan.commodity), pl.format("'{}' is not electricity or gas", "commodity_text")),
        Reason.BAD_CALORIFIC_VALUE: (
            column(plan.calorific),
            pl.format("'{}' is no calorific value in MJ/m³", "calorific_text"),
        ),
        Reason.NOT_FINITE: (value_name, pl.format("'{}' is no amount", value)),
        Reason.OFF_GRID: (
            stamp_name,
            pl.format("'{}' is no multiple of {} minutes", stamp, pl.col("interval_minutes")),
        ),
        Reason.CONFLICTING: (value_name, pl.format("'{}', but a later line says otherwise of {}", value, stamp)),
    }
