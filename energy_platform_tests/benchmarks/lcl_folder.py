"""Small folders in the London layout, with its kinds of dirt, for tests of cost and of the benchmarks."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

HEADER = "LCLid,stdorToU,DateTime,KWH/hh (per half hour) ,Acorn,Acorn_grouped"
END = datetime(2014, 2, 28)


def write_lcl_folder(folder: Path, *, meters: int, days: int, seed: int = 1, first_meter: int = 2) -> int:
    """One file of so many meters over the days before 28 February 2014 (one more reading on it), ordered by meter.

    Each meter says one reading twice and has one ``Null`` at an odd second, as the published files do. Files of other
    meters may stand in the folder already.

    Returns:
        How many rows were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    stamps = pl.datetime_range(END - timedelta(days=days), END, "30m", eager=True)
    shape = 0.25 + 0.2 * np.sin((stamps.dt.hour().to_numpy() - 10) / 24 * 2 * np.pi)
    text = stamps.dt.strftime("%Y-%m-%d %H:%M:%S.0000000")
    odd = f"{stamps[100] + timedelta(seconds=77):%Y-%m-%d %H:%M:%S}.0000000"
    lines = [HEADER]
    for number in range(first_meter, first_meter + meters):
        kwh = pl.Series(np.round(shape * rng.gamma(2.0, 0.5, len(stamps)), 3)).cast(pl.String)
        rows = pl.select(pl.format("MAC{},Std,{}, {} ,ACORN-A,Affluent", pl.lit(f"{number:06d}"), text, kwh))
        own = rows.to_series().to_list()
        lines += [*own[:101], own[100], f"MAC{number:06d},Std,{odd},Null,ACORN-A,Affluent", *own[101:]]
    (folder / f"LCL-June2015v2_{first_meter}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines) - 1
