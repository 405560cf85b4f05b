"""The operations store: small rows, many readers, transactions. SQLite in WAL mode, or PostgreSQL by URL.

Belongs here: what must be remembered between two requests. A part that keeps something has a module with its tables
and the functions that read and write them, taking the ``Operations`` to work in; it is imported here, so that the
tables are made when the store is opened. Does not belong here: readings, forecasts or anything else that grows with the meters.
"""

from energy_platform.adapters.operations import (
    averages,
    commands,
    control_log,
    devices,
    episodes,
    feedback,
    intents,
    key_sites,
    live,
    outbox,
    standing,
)
from energy_platform.adapters.operations.store import (
    ANSWERS_KEPT,
    API_KEYS,
    CLAIM_EXPIRES,
    IDEMPOTENCY_KEYS,
    STREAM_CHECKPOINTS,
    Answer,
    ApiKey,
    Operations,
    StreamCheckpoints,
)

__all__ = [
    "ANSWERS_KEPT",
    "API_KEYS",
    "CLAIM_EXPIRES",
    "IDEMPOTENCY_KEYS",
    "STREAM_CHECKPOINTS",
    "Answer",
    "ApiKey",
    "Operations",
    "StreamCheckpoints",
    "averages",
    "commands",
    "control_log",
    "devices",
    "episodes",
    "feedback",
    "intents",
    "key_sites",
    "live",
    "outbox",
    "standing",
]
