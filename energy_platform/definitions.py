"""The Dagster entry point: everything found below ``defs/``, and nothing else."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from energy_platform.settings import quiet_telemetry

quiet_telemetry()

PACKAGE = Path(__file__).parent


@dg.definitions
def defs() -> dg.Definitions:
    """Assemble every definition found below ``defs/``.

    ``load_from_defs_folder`` gives the same, and imports the component types of every installed integration for ``dg``'s
    documentation: 0.8 s of CPU in every process. As that does, this keeps Dagster's notes on its own functions quiet.
    """
    with _uncollected(), warnings.catch_warnings():
        for note in (dg.PreviewWarning, dg.BetaWarning, dg.SupersessionWarning):
            warnings.simplefilter("ignore", note)
        return dg.ComponentTree.for_project(PACKAGE).build_defs(PACKAGE / "defs")


@contextmanager
def _uncollected() -> Iterator[None]:
    """What is imported meanwhile lives as long as the process: the garbage collector leaves it alone from now on.

    Otherwise it goes through 400,000 objects again and again: 0.5 s of a start, up to 0.2 s each time later. Only the first
    time: in a process that has worked already, garbage that waits to be collected would stay for good.
    """
    if gc.get_freeze_count() or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
