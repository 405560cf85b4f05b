"""Faults planted in files: each is found, named with its line and reason, and stops nothing else."""

import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from energy_platform.adapters.lake_loader import batch
from energy_platform.domain.readings import Reason
from energy_platform_tests.lake_files import LCL_HEADER, Lake, half_hours, lcl_line

DAY = datetime(2013, 6, 1)
GOOD = [lcl_line("M1", stamp, 0.25) for stamp in half_hours(DAY, 48)]

FAULTY_ROWS = {
    "M1,Std,2013-07-01 00:00:00.0000000, Null ,A,B": Reason.NULL_VALUE,
    "M1,Std,2013-07-01 00:30:00.0000000,,A,B": Reason.NULL_VALUE,
    "M1,Std,2013-07-01 12:37:27.0000000,Null,A,B": Reason.NULL_VALUE,
    "M1,Std,2013-07-01 01:00:00.0000000,abc,A,B": Reason.NOT_A_NUMBER,
    "M1,Std,2013-07-01 01:30:00.0000000,'1',A,B": Reason.NOT_A_NUMBER,
    "M1,Std,2013-07-01 02:00:00.0000000,nan,A,B": Reason.NOT_FINITE,
    "M1,Std,2013-07-01 02:30:00.0000000,-inf,A,B": Reason.NOT_FINITE,
    "M1,Std,2013-07-01 03:07:00.0000000,1,A,B": Reason.OFF_GRID,
    "M1,Std,2013-07-01 03:30:00.0000001,1,A,B": None,  # below a microsecond: on the grid
    "M1,Std,2013-06-31 00:00:00.0000000,1,A,B": Reason.BAD_TIMESTAMP,
    "M1,Std,,1,A,B": Reason.BAD_TIMESTAMP,
    "M1,Std,yesterday,1,A,B": Reason.BAD_TIMESTAMP,
    "M1,Std,1899-12-31 00:00:00.0000000,1,A,B": Reason.BAD_TIMESTAMP,
    "M1,Std,9999-01-01 00:00:00.0000000,1,A,B": Reason.BAD_TIMESTAMP,
    "M1,Std,2013-07-01 04:00:00+02:00,1,A,B": Reason.BAD_TIMESTAMP,
    ",Std,2013-07-01 04:30:00.0000000,1,A,B": Reason.NO_KEY,
    "M1,Std,2013-07-01 05:00:00.0000000,1,A": Reason.MISSING_CELLS,
    "M1,Std,2013-07-01 05:30:00.0000000": Reason.MISSING_CELLS,
    "M1,Std,2013-07-01 06:00:00.0000000,1,A,B,C": Reason.EXTRA_CELLS,
    "M1,Std,01/07/2013 06:30:00,1,A,B": None,  # another declared format
    "M1,Std,01/07/2013 07:00,1,A,B": None,
    "M1,Std,2013-07-01T07:30:00,1,A,B": None,
}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_each_faulty_row_is_found_with_its_line_text_and_reason(lake: Lake, name: str) -> None:
    lines = [*GOOD[:10], *FAULTY_ROWS, *GOOD[10:]]
    lake.put(name, "\r\n".join([LCL_HEADER, *lines]) + "\r\n")
    rows = lake.load().rows
    expected = [
        (12 + index, text, reason.value)
        for index, (text, reason) in enumerate(FAULTY_ROWS.items())
        if reason is not None
    ]
    assert lake.read("SELECT line_number, raw_text, reason FROM lake.rejected ORDER BY 1").rows() == expected
    assert (rows.read, rows.accepted, rows.rejected) == (len(lines), len(lines) - len(expected), len(expected))
    details = lake.read("SELECT detail, column_name, reason FROM lake.rejected")
    assert details["detail"].str.len_chars().min() > 5
    assert details.filter(pl.col("reason") == "NOT_A_NUMBER")["column_name"][0].startswith("KWH/hh")


def test_rows_refused_by_the_reader_alone_keep_the_file_on_the_fast_way(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_lines(*_: object) -> None:
        raise AssertionError("read line by line")

    monkeypatch.setattr(batch.cells, "file_cells", no_lines)
    # More lines than are looked at to tell how the stamps of a file are written.
    good = [lcl_line("M1", stamp, 0.25) for stamp in half_hours(DAY, 1_300)]
    # DuckDB's own cast would take both for moments.
    faulty = [f"M2,Std,{stamp},1,A,B" for stamp in ("2013/07/01 00:00:00.0000000", "2013-07-01 00:30:00+02")]
    lake.put("nulls.csv", "\n".join([LCL_HEADER, *good, "M1,Std,2013-07-01 00:07:11.0000000,Null,A,B"]))
    lake.put("stamps.csv", "\n".join([LCL_HEADER, *(line.replace("M1", "M2") for line in good), *faulty]))
    rows = lake.load().rows
    assert (rows.accepted, rows.rejected) == (2 * len(good), 1 + len(faulty))
    refused = "SELECT raw_text FROM lake.rejected WHERE reason = 'BAD_TIMESTAMP' ORDER BY line_number"
    assert lake.read(refused)["raw_text"].to_list() == faulty


def test_bytes_that_are_not_text_are_refused_by_line(lake: Lake) -> None:
    lines = [LCL_HEADER.encode(), GOOD[0].encode(), b"M\xff1,Std,2013-07-01 00:00:00,1,A,B", GOOD[1].encode()]
    lake.put("a.csv", b"\n".join(lines))
    assert (lake.load().rows.accepted, lake.read("SELECT line_number, reason FROM lake.rejected").rows()) == (
        2,
        [(3, "INVALID_ENCODING")],
    )


def _gzipped(lines: list[str]) -> bytes:
    return gzip.compress("\n".join([LCL_HEADER, *lines]).encode())


def _truncated(lake: Lake) -> Path:
    packed = _gzipped([lcl_line("M1", stamp, index) for index, stamp in enumerate(half_hours(DAY, 5000))])
    return lake.put("bad.csv.gz", packed[: len(packed) // 2])


BAD_FILES: dict[str, tuple[Callable[[Lake], Path], str]] = {
    "a gzip that is cut off": (_truncated, "cut off"),
    "a gzip that is damaged": (
        lambda lake: lake.put("bad.csv.gz", _gzipped(GOOD)[:60] + b"\0" * 40),
        "gzip is damaged",
    ),
    "no gzip at all": (lambda lake: lake.put("bad.csv.gz", b"LCLid,x\n1,2\n"), "gzip"),
    "an empty file": (lambda lake: lake.put("bad.csv", b""), "line 1: is empty"),
    "a file of blank lines": (lambda lake: lake.put("bad.csv", "\n \n"), "is empty"),
    "a missing column": (
        lambda lake: lake.put("bad.csv", "LCLid,DateTime,kwh\nM1,2013-06-01 00:00:00,1\n"),
        "line 1, column 'KWH/hh (per half hour)': the header has no such column; it has LCLid, DateTime, kwh",
    ),
    "another delimiter": (lambda lake: lake.put("bad.csv", LCL_HEADER.replace(",", ";") + "\n"), "no such column"),
    "no header": (lambda lake: lake.put("bad.csv", "\n".join(GOOD)), "no such column"),
    "UTF-16": (lambda lake: lake.put("bad.csv", "\n".join([LCL_HEADER, *GOOD]).encode("utf-16")), "UTF-8"),
    "bytes for a header": (lambda lake: lake.put("bad.csv", b"\xff\xfe\xfa,\xff\n1,2\n"), "is not text in utf-8"),
    "an undeclared stamp": (
        lambda lake: lake.put_lcl("bad.csv", ["M1,Std,June 1st 2013,1,A,B"]),
        "line 2, column 'DateTime': 'June 1st 2013' is in none of the declared formats",
    ),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_bad_file_says_why_and_the_others_are_loaded(lake: Lake, fault: str) -> None:
    make, message = BAD_FILES[fault]
    bad = make(lake)
    lake.put("good.csv", "\n".join([LCL_HEADER, *GOOD]))
    summary = lake.load()
    assert summary.rows.accepted == 48
    assert [outcome.file.path.name for outcome in summary.failed] == [bad.name]
    error = lake.read("SELECT error FROM lake.files WHERE status = 'failed'").item()
    assert str(bad) in error
    assert message in error
    assert error.endswith(".")
    assert lake.read("SELECT count(*) FROM lake.readings").item() == 48


def test_a_failed_file_is_tried_again_and_keeps_one_ledger_row(lake: Lake) -> None:
    said = "M1,Std,June 1 2013 00:00,1,A,B"
    lake.put_lcl("a.csv", [said])
    lake.load()
    lake.load()
    assert lake.read("SELECT file_id, status FROM lake.files").rows() == [(1, "failed")]
    lcl = lake.declarations["lcl"]
    timestamp = lcl.timestamp.model_copy(update={"formats": ("%B %d %Y %H:%M",)})
    lake.declarations["lcl"] = lcl.model_copy(update={"timestamp": timestamp})
    lake.load()
    assert lake.read("SELECT file_id, status, rows_accepted FROM lake.files").rows() == [(2, "loaded", 1)]


def test_a_file_of_an_unknown_source_is_a_failed_file(lake: Lake) -> None:
    lake.put("a.csv", "x", source="unheard_of")
    lake.put_lcl("a.csv", GOOD)
    summary = lake.load()
    assert "no source is named 'unheard_of'" in (summary.failed[0].error or "")
    assert summary.rows.accepted == 48


def test_mixed_line_ends_that_the_fast_reader_refuses_are_read_by_line(lake: Lake) -> None:
    lake.put("a.csv", (LCL_HEADER + "\n" + GOOD[0] + "\r\n" + GOOD[1] + "\n" + GOOD[2] + "\r\n").encode())
    summary = lake.load()
    assert (summary.rows.accepted, summary.failed) == (3, ())


_VALUES = st.sampled_from(["0.1", " 0.2 ", "0.1", "Null", "", "x", "nan", "1e3", "-1"])
_STAMPS = st.sampled_from(
    [f"2013-06-01 {hour:02d}:{minute}:00.0000000" for hour in range(4) for minute in ("00", "30")]
    + ["2013-06-01 00:07:00.0000000", "", "x", "01/06/2013 03:00", "2013-06-01 00:00:00"]
)
_ROWS = st.builds(
    lambda m, t, v, tail: f"{m},Std,{t},{v}{tail}",
    st.sampled_from(["M1", "M2", ""]),
    _STAMPS,
    _VALUES,
    st.sampled_from([",A,B", ",A,B", ",A,B", ",A", ",A,B,C"]),
)
_FILES = st.lists(st.lists(_ROWS, min_size=1, max_size=12), min_size=1, max_size=3)


# Not shrunk: an example takes half a second, and the rows of a failing one can be read as they are.
@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(files=_FILES)
def test_both_ways_in_agree_and_every_row_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[str]]
) -> None:
    """The fast reader against reading line by line, and both against a plain reckoning of the rows."""
    found = []
    for is_fast in (True, False):
        lake = Lake(tmp_path_factory.mktemp("lake"))
        for index, lines in enumerate(files):
            lake.put(f"{index}.csv", "\n".join([LCL_HEADER, lcl_line(f"M0{index}", DAY, 1), *lines]))
        with pytest.MonkeyPatch.context() as patch:
            if not is_fast:
                patch.setattr(batch.FilePlan, "is_fast", False)
            summary = lake.load()
        assert summary.failed == ()
        everything = dict(lake.everything())
        found.append(everything)
    assert found[0] == found[1]
    read = sum(len(lines) + 1 for lines in files)
    assert summary.rows.read == read
    assert len(found[0]["readings"]) + len(found[0]["rejected"]) + summary.rows.duplicate == read
