"""The way from landed files into the lake; callers need only what is named here."""

from energy_platform.adapters.lake_loader.check import SourceCheck, check_file
from energy_platform.adapters.lake_loader.ledger import ledger_totals
from energy_platform.adapters.lake_loader.load import load_pending

__all__ = ["SourceCheck", "check_file", "ledger_totals", "load_pending"]
