"""What may become of a row of a landed file, and the arithmetic that accounts for all of them."""

from energy_platform.domain.readings.ledger import FileOutcome, LandedFile, LoadSummary, RowCounts
from energy_platform.domain.readings.reasons import Reason

__all__ = ["FileOutcome", "LandedFile", "LoadSummary", "Reason", "RowCounts"]
