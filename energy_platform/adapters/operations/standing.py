"""How things stand, in numbers: what a metrics page shows of the operations store.

Belongs here: counting over the tables of other parts. Does not belong here: changing them.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from energy_platform.adapters.operations.commands import DEVICE_COMMANDS
from energy_platform.adapters.operations.devices import KILL_SWITCHES, LATCHES
from energy_platform.adapters.operations.episodes import ALERT_EPISODES
from energy_platform.adapters.operations.store import Operations
from energy_platform.domain.alerts.records import EpisodeState


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts of one moment.

    Args:
        alerts: episodes that are not over, by severity.
        commands: every command ever asked for, by state.
        latches: meters that were shut off and wait to be cleared.
        kill_switches: those thrown.
    """

    alerts: dict[str, int]
    commands: dict[str, int]
    latches: int
    kill_switches: int


def standing(operations: Operations) -> Standing:
    """The counts now."""
    episode, command = ALERT_EPISODES.c, DEVICE_COMMANDS.c
    lasting = sa.select(episode.severity, sa.func.count()).where(episode.state != EpisodeState.RECOVERED.value)
    asked = sa.select(command.state, sa.func.count()).group_by(command.state)
    with operations.engine.connect() as connection:
        return Standing(
            alerts={row[0]: row[1] for row in connection.execute(lasting.group_by(episode.severity))},
            commands={row[0]: row[1] for row in connection.execute(asked)},
            latches=connection.execute(sa.select(sa.func.count()).select_from(LATCHES)).scalar_one(),
            kill_switches=connection.execute(sa.select(sa.func.count()).select_from(KILL_SWITCHES)).scalar_one(),
        )
