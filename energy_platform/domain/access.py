"""Who may do what: the roles of API keys, and the sites that a key is for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a key may do: read; read and change state; or send readings."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    INGEST = "ingest"


READERS = frozenset({Role.VIEWER, Role.OPERATOR})
"""Whoever may switch a device must see it first."""
OPERATORS = frozenset({Role.OPERATOR})
SENDERS = frozenset({Role.INGEST})


@dataclass(frozen=True, slots=True)
class Sites:
    """The sites that a key is for; ``only`` None is every site, and what belongs to none.

    Example:
        >>> Sites(frozenset({"home-1"})).include("home-2"), Sites().include(None)
        (False, True)
    """

    only: frozenset[str] | None = None

    def include(self, site_id: str | None) -> bool:
        """Whether what belongs to a site may be seen."""
        return self.only is None or site_id in self.only

    @property
    def names(self) -> list[str] | None:
        """The sites in order; None is all of them."""
        return None if self.only is None else sorted(self.only)

    @classmethod
    def of(cls, names: Iterable[str]) -> Sites:
        """The sites of a key that was made for some; for none named, all."""
        found = frozenset(names)
        return cls(found or None)
