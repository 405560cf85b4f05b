"""What can be wrong with a finished report, found by reading it as a browser and as an auditor would.

Belongs here: sections, requests to other places, figures that the tables do not bear out. Does not
belong here: writing the report (page.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

import duckdb

from energy_platform.adapters.published import Generation
from energy_platform.adapters.warehouse import sql_type
from energy_platform.domain.columns import table
from energy_platform.domain.insights.figures import MEASURES, Source, Value, agrees, parse_sources, recomputed

SECTIONS = ("summary", "usage", "hours", "meters", "anomalies", "accuracy", "quality", "provenance")
_LOADING_TAGS = {"script", "link", "iframe", "object", "embed", "base", "audio", "video", "source"}
_LOADING_ATTRIBUTES = {"src", "srcset", "href", "xlink:href", "poster", "action", "data", "background"}
_STYLE_REQUEST = re.compile(r"@import|url\(\s*['\"]?(?!#|data:)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReadReport:
    """What stands in a report.

    Args:
        sections: ids of its sections, in order.
        requests: whatever would make a browser ask another place.
        figures: (source text, exact value as text) of every figure.
        charts: labels of its charts.
        statements: the sentences of its summary.
    """

    sections: tuple[str, ...]
    requests: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    charts: tuple[str, ...]
    statements: tuple[str, ...]


def read_report(html: str) -> ReadReport:
    """Read a report back from its HTML."""
    reader = _Reader()
    reader.feed(html)
    return ReadReport(
        tuple(reader.sections),
        tuple(reader.requests),
        tuple(reader.figures),
        tuple(reader.charts),
        tuple(reader.statements),
    )


def report_faults(found: ReadReport, generation: Generation) -> dict[str, list[str]]:
    """What is wrong with a report, by the name of the check; an empty list where nothing is.

    Args:
        found: the report.
        generation: the published tables it was made from; each figure is recomputed from them.
    """
    return {
        "has_every_section": [f"section {name} is missing" for name in SECTIONS if name not in found.sections],
        "asks_no_other_place": [f"asks another place: {request}" for request in found.requests],
        "figures_agree_with_tables": _wrong_figures(found, generation),
    }


def _wrong_figures(found: ReadReport, generation: Generation) -> list[str]:
    """Figures whose source cannot be resolved, or says something else than the report."""
    if not found.figures:
        return ["no figure names its source"]
    with generation.connect() as connection:
        return list(_disagreements(connection, found.figures))


def _disagreements(connection: duckdb.DuckDBPyConnection, figures: tuple[tuple[str, str], ...]) -> Iterator[str]:
    known: dict[Source, Value] = {}
    for text, shown in dict.fromkeys(figures):
        try:
            sources = parse_sources(text)
            for source in sources:
                if source not in known:
                    known[source] = resolve(connection, source)
        except (ValueError, duckdb.Error) as error:
            yield f"{text}: {str(error).splitlines()[0]}"
            continue
        value = recomputed([known[source] for source in sources])
        if not agrees(shown, value):
            yield f"{text}: the report says {shown or 'nothing'}, the table {value}"


def resolve(connection: duckdb.DuckDBPyConnection, source: Source) -> Value:
    """The value that a source has in the tables now.

    Args:
        connection: to a generation.
        source: its columns were checked against the contracts, so no free text reaches SQL.
    """
    dtypes = table(source.table_name).polars_schema
    name, _, column = source.measure.partition(".")
    where = " AND ".join(
        f"{filtered} {operator} CAST(? AS {sql_type(dtypes[filtered])})" for filtered, operator, _ in source.filters
    )
    sql = f"SELECT {MEASURES[name](column)} FROM {source.table_name}" + (f" WHERE {where}" if where else "")
    row = connection.execute(sql, [value for _, _, value in source.filters]).fetchone()
    value: Value = row[0] if row else None
    return value


class _Reader(HTMLParser):
    """Collects what ``ReadReport`` holds as the parser walks the page."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.requests: list[str] = []
        self.figures: list[tuple[str, str]] = []
        self.charts: list[str] = []
        self.statements: list[str] = []
        self._in_style = self._in_statement = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one tag shows or loads."""
        given = {name: value or "" for name, value in attrs}
        self._in_style = self._in_style or tag == "style"
        if tag == "li":
            self._in_statement = True
            self.statements.append("")
        if tag == "section":
            self.sections.append(given.get("id", ""))
        if tag == "svg":
            self.charts.append(given.get("aria-label", ""))
        if tag in _LOADING_TAGS:
            self.requests.append(f"<{tag}>")
        for name, value in given.items():
            outside = name in _LOADING_ATTRIBUTES and value and not value.startswith(("#", "data:"))
            if outside or (name == "style" and _STYLE_REQUEST.search(value)):
                self.requests.append(f"{tag} {name}={value}")
        if "data-source" in given:
            self.figures.append((given["data-source"], given.get("value", "")))

    def handle_data(self, data: str) -> None:
        """Collect statements; look into style sheets, which load things too."""
        if self._in_statement:
            self.statements[-1] += data
        if self._in_style and _STYLE_REQUEST.search(data):
            self.requests.append("a style sheet's @import or url()")

    def handle_endtag(self, tag: str) -> None:
        """A statement ends with its list item, a style sheet with its tag."""
        if tag == "li":
            self._in_statement = False
        if tag == "style":
            self._in_style = False
