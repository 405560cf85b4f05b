"""The sensor on the landing zone: new files start the intake.

It never opens the warehouse, which a run may be writing to: what has been loaded it reads from the
record of the newest landing/files. Its cursor is a hash of the whole listing, not a time: on S3 a late
object under an early key, and one with an old stamp, change it too.
"""

import time

import dagster as dg

from energy_platform.defs.landing.assets import KEY
from energy_platform.defs.resources import open_landing
from energy_platform.settings import get_settings

# A file that somebody copies into the zone by hand is whole when it has not grown for so long.
SETTLE_SECONDS = 5


@dg.sensor(
    name="landing_files",
    job_name="intake",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the intake when a file lands. Half-written files (.part, hidden) are not looked at.",
)
def landing_files_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Ask for one run when the set of landed files is another than last time and than what has been loaded."""
    landing = open_landing(get_settings())
    if landing.newest_change() > time.time() - SETTLE_SECONDS:
        return dg.SkipReason("a file has just changed; waiting until it is whole")
    found = landing.state()
    if not found:
        return dg.SkipReason(f"nothing has landed in {landing}")
    if found in {context.cursor, _loaded(context.instance)}:
        return dg.SkipReason("no new file")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=found)], cursor=found)


def _loaded(instance: dg.DagsterInstance) -> str | None:
    """The fingerprint that the newest intake worked on."""
    event = instance.get_latest_materialization_event(KEY)
    if event is None or event.asset_materialization is None:
        return None
    value = event.asset_materialization.metadata.get("fingerprint")
    return None if value is None else str(value.value)
