"""What the process asks of any stream; adapters/{kinesis,kafka,mqtt}.py answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from energy_platform.domain.events import Message


class StreamSource(Protocol):
    """A stream that gives messages and is told which of them are safe."""

    window: int | None
    """Messages that the broker sends before it waits for acknowledgements; ``None`` when it does not wait."""

    def poll(self, limit: int, seconds: float) -> list[Message]:
        """At most ``limit`` messages; returns with the first ones, or with none after ``seconds``."""

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """These messages are on the disk and need not come again."""

    def on_revoked(self, flush: Callable[[], None]) -> None:
        """What to call when partitions are about to be given to another consumer."""

    def lag(self) -> dict[str, float]:
        """How far behind the stream this consumer is, in what the stream can tell: messages or seconds."""

    def close(self) -> None:
        """End the connection; what was not acknowledged comes again."""
