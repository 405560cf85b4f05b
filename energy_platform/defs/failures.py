"""A failed step in its own words, for the daemon's log and the command line alike."""

import dagster as dg


def step_error_text(event: dg.DagsterEvent) -> str:
    """What the code of a failed step raised, without Dagster's wrapping of it."""
    error = event.step_failure_data.error
    if error is None:
        return "no error recorded"
    return (error.cause or error).message.strip()
