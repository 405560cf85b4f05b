"""The words in which a row is refused.

Belongs here: each reason and what it means. Does not belong here: how it is found (adapters/lake_loader).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why a row of a landed file could not be used; the order is the order of precedence.

    A row with several faults is counted once, under the first of them.

    Example:
        >>> Reason.NULL_VALUE.meaning
        'The value is empty or one of the words that the source uses for nothing.'
        >>> str(Reason.OFF_GRID)
        'OFF_GRID'
    """

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """A member is its word; the meaning rides along."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member

    INVALID_ENCODING = ("INVALID_ENCODING", "The line is not text in the declared encoding.")
    LINE_TOO_LONG = ("LINE_TOO_LONG", "The line is longer than 2 MB, so a line break or a quote is missing.")
    BAD_QUOTES = ("BAD_QUOTES", "Quotation marks in the line do not pair up.")
    NOT_JSON = ("NOT_JSON", "The row is no JSON object; of concatenated JSON, the rest of the file.")
    MISSING_CELLS = ("MISSING_CELLS", "The row has fewer cells than the header.")
    EXTRA_CELLS = ("EXTRA_CELLS", "The row has more cells than the header.")
    NO_KEY = ("NO_KEY", "The cell that names the meter, channel or station is empty.")
    BAD_TIMESTAMP = ("BAD_TIMESTAMP", "The stamp is in none of the declared formats, or outside 1970 to 2039.")
    NONEXISTENT_TIME = ("NONEXISTENT_TIME", "The local time was skipped when the clocks went forward.")
    NULL_VALUE = ("NULL_VALUE", "The value is empty or one of the words that the source uses for nothing.")
    NOT_A_NUMBER = ("NOT_A_NUMBER", "The value is not a number as the source writes numbers.")
    BAD_INTERVAL = ("BAD_INTERVAL", "The row's own length of the interval is no number of minutes from 1 to 44,640.")
    BAD_COMMODITY = ("BAD_COMMODITY", "The row's commodity is neither electricity nor gas.")
    BAD_CALORIFIC_VALUE = ("BAD_CALORIFIC_VALUE", "The calorific value of the row cannot be that of the gas.")
    NOT_FINITE = ("NOT_FINITE", "The value is nan or infinite.")
    OFF_GRID = ("OFF_GRID", "The stamp is not a multiple of the declared interval.")
    CONFLICTING = ("CONFLICTING", "A later line of the same file gives another value for the same interval.")
