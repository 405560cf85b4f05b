"""The energy report: one self-contained HTML page, made from one published generation.

``content.py`` reads, ``page.py`` and ``tables.py`` lay out, ``charts.py`` draws, the template and
style sheet beside them give the form, ``check.py`` finds what is wrong with a finished page.
"""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from energy_platform.adapters.published import Generation


def build_report(generation: Generation, *, now: datetime) -> str:
    """The report of a generation as one HTML page that asks no other place for anything.

    Args:
        generation: the tables it is made from; every figure names the table and rows behind it.
        now: naive UTC, printed as the time of writing.
    """
    import jinja2
    from altair.utils.schemapi import debug_mode

    from energy_platform.domain.insights.figures import Figure, plain_text
    from energy_platform.serving.report.content import read_content
    from energy_platform.serving.report.page import build_page
    from energy_platform.serving.report.tables import numeric

    # Altair holds each part of a chart against its schema as it is made: 2 s of a report. The tests of the charts let it.
    with generation.connect() as connection, debug_mode(False):
        page = build_page(read_content(connection, generation))
    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.tests["figure"] = lambda value: isinstance(value, Figure)
    environment.filters |= {"plain_text": plain_text, "numeric": numeric}
    return environment.get_template("report.html.j2").render(
        page=page,
        generation=generation,
        now=now,
        version=version("energy-platform"),
        style=(folder / "report.css").read_text(encoding="utf-8"),
    )


def summary_sentences(html: str) -> tuple[str, ...]:
    """The statements of a report's summary, as plain text."""
    from energy_platform.serving.report.check import read_report

    return read_report(html).statements
