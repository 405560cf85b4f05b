"""Great Expectations suites, made from the contracts of domain/columns.py.

Belongs here: contract to suite, suite to outcome. Does not belong here: what a column may hold
(domain/columns.py), which rows are looked at (defs/lake/checks.py). Great Expectations takes 3 to 5 s of CPU
to import, so it is imported when a ``Contracts`` is made, and one is made for all tables. ``started_early``
lets a process of its own do that while the caller does something else.
"""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from energy_platform.domain.columns import Column, Table

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)

# Only where pandas keeps the type: a nullable integer becomes a float there, a string an object.
_PANDAS_TYPES = {
    pl.Int8(): "int8",
    pl.Int16(): "int16",
    pl.Int32(): "int32",
    pl.Int64(): "int64",
    pl.Float64(): "float64",
    pl.Boolean(): "bool",
    pl.Datetime("us"): "datetime64[us]",
}


@dataclass(frozen=True, slots=True)
class ContractOutcome:
    """How a table stands to its contract.

    Args:
        table: full name.
        rows: rows looked at.
        expectations: how many were held against them.
        failures: those that do not hold, in words.
    """

    table: str
    rows: int
    expectations: int
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all of them hold."""
        return not self.failures


class ContractChecker(Protocol):
    """Holds rows of tables against their contracts."""

    def check(self, table: Table, rows: pd.DataFrame, *, is_whole: bool = True) -> ContractOutcome:
        """Hold rows of a table against its contract."""


class Contracts:
    """Holds rows against contracts; one Great Expectations context for all of them."""

    def __init__(self) -> None:
        import great_expectations as gx

        self._gx = gx
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = {"globally": False}
        self._source = self._context.data_sources.add_pandas("lake")

    def check(self, table: Table, rows: pd.DataFrame, *, is_whole: bool = True) -> ContractOutcome:
        """Hold rows of a table against its contract.

        Args:
            table: the contract.
            rows: all its rows, or a sample of them.
            is_whole: whether they are all; only then can the key be seen to be unique.
        """
        suite = self._gx.ExpectationSuite(
            name=table.full_name, expectations=list(self._expectations(table, rows, is_whole))
        )
        asset = self._source.add_dataframe_asset(f"{table.full_name}-{len(self._source.assets)}")
        batch = asset.add_batch_definition_whole_dataframe("rows").get_batch({"dataframe": rows})
        result = batch.validate(suite, result_format="BASIC")
        failures = tuple(_in_words(outcome) for outcome in result.results if not outcome.success)
        return ContractOutcome(table.full_name, len(rows), len(result.results), failures)

    def _expectations(self, table: Table, rows: pd.DataFrame, is_whole: bool) -> Iterator[Any]:
        """The expectations that a contract amounts to; of an empty table only its columns can be told."""
        expect = self._gx.expectations
        yield expect.ExpectTableColumnsToMatchOrderedList(column_list=table.column_names)
        if rows.empty:
            return
        if is_whole:
            yield (
                expect.ExpectColumnValuesToBeUnique(column=table.key[0])
                if len(table.key) == 1
                else expect.ExpectCompoundColumnsToBeUnique(column_list=list(table.key))
            )
        for column in table.columns:
            is_empty = column.name in rows and bool(rows[column.name].isna().all())
            yield from _column_expectations(expect, column, is_empty=is_empty)


class ContractsProcess:
    """``Contracts`` in a process of its own, which takes tables from the moment it has imported what it needs."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "ignore", "-c", f"from {__name__} import serve_contracts; serve_contracts()"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our words

    def check(self, table: Table, rows: pd.DataFrame, *, is_whole: bool = True) -> ContractOutcome:
        """As ``Contracts.check``.

        Raises:
            EOFError: the process has ended.
            BrokenPipeError: likewise.
        """
        asked, answered = self._process.stdin, self._process.stdout
        if asked is None or answered is None:
            raise EOFError
        pickle.dump((table, rows, is_whole), asked)
        asked.flush()
        answer = pickle.load(answered)  # noqa: S301 - from the process started above
        if isinstance(answer, BaseException):
            raise answer
        outcome: ContractOutcome = answer
        return outcome

    def end(self) -> None:
        """End the process, busy or not."""
        self._process.terminate()
        self._process.communicate()


class _EitherWay:
    """The process while it answers; from the moment it does not, this one."""

    def __init__(self, process: ContractsProcess) -> None:
        self._checker: ContractChecker = process

    def check(self, table: Table, rows: pd.DataFrame, *, is_whole: bool = True) -> ContractOutcome:
        """As ``Contracts.check``."""
        try:
            return self._checker.check(table, rows, is_whole=is_whole)
        except (EOFError, BrokenPipeError):
            _log.warning("the process that checks contracts has ended; checking here")
            self._checker = Contracts()
            return self._checker.check(table, rows, is_whole=is_whole)


_begun: list[bool] = []
_early: list[ContractsProcess] = []


@contextmanager
def started_early() -> Iterator[None]:
    """Start what checks contracts now, for whoever asks ``open_contracts`` within the block.

    Only the first time: a process that comes here again runs for long, and is better off with its own import.
    """
    if _begun:
        yield
        return
    _begun.append(True)
    process = ContractsProcess()
    _early.append(process)
    try:
        yield
    finally:
        _early.remove(process)
        process.end()


def open_contracts() -> ContractChecker:
    """What checks contracts: the process that was started early, or one made here."""
    return _EitherWay(_early[-1]) if _early else Contracts()


def serve_contracts() -> None:
    """Answer (table, rows, is_whole) from standard input with outcomes on standard output, until it ends."""
    asked, answered = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what libraries print must not get between the answers
    contracts = Contracts()
    while True:
        try:
            table, rows, is_whole = pickle.load(asked)  # noqa: S301 - from the process that started this one
        except EOFError:
            return
        try:
            answer: object = contracts.check(table, rows, is_whole=is_whole)
        except Exception as error:  # noqa: BLE001 - raised where it was asked
            answer = error
        pickle.dump(answer, answered)
        answered.flush()


def _column_expectations(expect: Any, column: Column, *, is_empty: bool) -> Iterator[Any]:
    if column.required:
        yield expect.ExpectColumnValuesToNotBeNull(column=column.name)
        dtype = column.dtype() if isinstance(column.dtype, type) else column.dtype
        if dtype in _PANDAS_TYPES:
            yield expect.ExpectColumnValuesToBeOfType(column=column.name, type_=_PANDAS_TYPES[dtype])
    if column.allowed:
        yield expect.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.allowed))
    # Of all values the least and the greatest: to hold each against its bounds takes Great Expectations a call a value, half of a
    # check's time.
    if column.minimum is not None and not is_empty:
        yield expect.ExpectColumnMinToBeBetween(column=column.name, min_value=column.minimum)
    if column.maximum is not None and not is_empty:
        yield expect.ExpectColumnMaxToBeBetween(column=column.name, max_value=column.maximum)


def _in_words(outcome: Any) -> str:
    """One failed expectation: what was expected of which column, and examples of what was found."""
    config = outcome.expectation_config
    said = {key: value for key, value in config.kwargs.items() if key not in {"batch_id", "column"}}
    where = config.kwargs.get("column", "the table")
    found = outcome.result.get("partial_unexpected_list") or outcome.result.get("observed_value")
    error = outcome.exception_info.get("exception_message") if isinstance(outcome.exception_info, dict) else None
    details = f"; found {found}" if found else f"; {error}" if error else ""
    return f"{config.type} of {where}{f' {said}' if said else ''}{details}"
