"""Partition definitions that more than one stage shares.

Put a definition here when assets, checks and schedules must agree on it. Not here: how far
back a model trains (domain/forecasting), how far back a sensor looks (its own file).

A partition is a *cutoff*: the local day at whose start somebody stands and looks ahead. It may
know only what was known then, so a backfill over past partitions is a rolling-origin backtest.
"""

import dagster as dg

# Older than the oldest public data set of this field (PJM loads, October 2004) and a Monday.
# Moving it earlier costs a longer list in the UI; moving it later makes older data unusable.
FIRST_CUTOFF = "2004-01-05"

# Models are trained at Mondays: a week is the shortest season of the daily series.
# end_offset=1: the newest Monday is a cutoff on that Monday, not a week after.
weekly_cutoffs = dg.WeeklyPartitionsDefinition(start_date=FIRST_CUTOFF, day_offset=1, end_offset=1)

# Forecasts are issued every day, for the seven days that begin with the cutoff day.
daily_cutoffs = dg.DailyPartitionsDefinition(start_date=FIRST_CUTOFF, end_offset=1)
