"""Writes docs/data_dictionary.md from the contracts: ``python -m energy_platform.serving.dictionary PATH``.

With ``--check`` it writes nothing and fails when the page is not what the contracts say. Belongs
here: how the page is laid out. Does not belong here: what a column means (domain/columns.py).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from energy_platform.domain.columns import TABLES, Column, Table

_OPENING = """# Data dictionary

Generated from `energy_platform/domain/columns.py` by `make docs`; edit the contracts, not this page.

A column that several tables carry has one name, one type, one unit and one meaning. Times are UTC and say so in
their names; `local_date` and the like are of the site. A table's key names one row of it. Published tables are read with
`energy query`, for instance `energy query "select * from marts.meter_days limit 5"`.
"""


def data_dictionary_markdown(tables: Sequence[Table]) -> str:
    """The page of all tables, grouped by schema in the order of the flow.

    Example:
        >>> print(data_dictionary_markdown(TABLES).splitlines()[0])
        # Data dictionary
    """
    schemas = list(dict.fromkeys(table.schema for table in tables))
    lines = [_OPENING, "| table | one row per | key |", "|---|---|---|"]
    lines += [
        f"| [{table.full_name}](#{_anchor(table)}) | {table.one_row_per} | {', '.join(f'`{name}`' for name in table.key)} |"
        for table in tables
    ]
    for schema in schemas:
        lines += ["", f"## {schema}"]
        for table in tables:
            if table.schema == schema:
                lines += ["", *_table_lines(table)]
    return "\n".join(lines) + "\n"


def _table_lines(table: Table) -> list[str]:
    """One table: its heading, what one row is, its columns."""
    return [
        f"### {table.full_name}",
        "",
        f"One row per {table.one_row_per}.",
        "",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
        *(_column_line(column, is_key=column.name in table.key) for column in table.columns),
    ]


def _column_line(column: Column, *, is_key: bool) -> str:
    name = f"**`{column.name}`**" if is_key else f"`{column.name}`"
    dtype = str(column.dtype() if isinstance(column.dtype, type) else column.dtype)
    kind = "Datetime (µs)" if dtype.startswith("Datetime") else dtype
    meaning = column.meaning if column.required else f"{column.meaning} May be null."
    return f"| {name} | {kind} | {column.unit} | {meaning.replace('|', chr(92) + '|')} |"


def _anchor(table: Table) -> str:
    """The heading's anchor, as code hosts make it: dots fall away."""
    return table.full_name.replace(".", "").lower()


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with ``--check`` say whether it is up to date."""
    path = Path(arguments[-1]) if arguments and not arguments[-1].startswith("-") else Path("docs/data_dictionary.md")
    page = data_dictionary_markdown(TABLES)
    if "--check" in arguments:
        is_current = path.exists() and path.read_text(encoding="utf-8") == page
        if not is_current:
            sys.stderr.write(f"{path} is not what domain/columns.py says. Run `make docs`.\n")
        return 0 if is_current else 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
