"""The Dagster entry point: everything found below ``defs/``, and nothing else."""

from pathlib import Path

import dagster as dg

from energy_platform.settings import quiet_telemetry

quiet_telemetry()


@dg.definitions
def defs() -> dg.Definitions:
    """Assemble every definition found below ``defs/``."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
