"""What arrives by a stream or by HTTP, one message at a time: is it an event, and what does it say.

Belongs here: the shapes of events and the reasons to refuse one. Does not belong here: where
messages come from (adapters/), when a batch is closed (streaming/), where rows are landed
(adapters/landing_batches.py), what a source declares (domain/readings).
"""

from energy_platform.domain.events.batch import EventBatch, EventReason, Rejection
from energy_platform.domain.events.csv_text import csv_objects
from energy_platform.domain.events.message import Checkpoint, CheckpointStore, Message, Progress
from energy_platform.domain.events.parse import parse_events, validate_objects

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "EventBatch",
    "EventReason",
    "Message",
    "Progress",
    "Rejection",
    "csv_objects",
    "parse_events",
    "validate_objects",
]
