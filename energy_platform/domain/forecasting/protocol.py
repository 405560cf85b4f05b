"""What a forecaster is: a function from rows of ``rows.design`` to medians.

Belongs here: the shape that backtest and issuing rely on; a fitted model's bound ``predict`` has it.
Bands are not a forecaster's concern: intervals.py makes them from residuals, for every one alike.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

# Rows of rows.design to the median in kWh of each, in the same order.
Predict = Callable[[pl.DataFrame], pl.Series]
