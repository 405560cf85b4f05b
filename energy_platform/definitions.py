"""The Dagster entry point: everything found below ``defs/``, and nothing else."""

import warnings
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
    with warnings.catch_warnings():
        for note in (dg.PreviewWarning, dg.BetaWarning, dg.SupersessionWarning):
            warnings.simplefilter("ignore", note)
        return dg.ComponentTree.for_project(PACKAGE).build_defs(PACKAGE / "defs")
