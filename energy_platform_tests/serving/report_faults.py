"""What the checks of the report say, in one list."""

from energy_platform.adapters.published import Generation
from energy_platform.serving.report.check import read_report, report_faults


def every_fault(html: str, generation: Generation) -> list[str]:
    return [fault for faults in report_faults(read_report(html), generation).values() for fault in faults]
