"""Who may do what: the roles of API keys."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a key may do: read, change state, or send readings. No role includes another."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    INGEST = "ingest"
