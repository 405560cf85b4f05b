"""``energy query`` answers one read-only question and says plainly why it refuses any other."""

from __future__ import annotations

import pytest

from energy_platform.domain.errors import QueryFailed, QueryRefused
from energy_platform.serving.query import check_query, run_query

READS = [
    "select count(*) from lake.readings",
    "SELECT 1;",
    "with days as (select * from marts.meter_days) select count(*) from days",
    "values (1), (2)",
    "from lake.files select file_id",
    "describe lake.files",
    "summarize lake.files",
    "show tables",
    "select 1 union all select 2",
    "pivot lake.files on status using count(*)",
    "select ';drop table x' as harmless",
    "select * from lake.files -- ; drop table lake.files",
]
REFUSED = [
    "",
    "select 1; select 2",
    "drop view lake.files",
    "delete from lake.files",
    "insert into lake.files values (1)",
    "update lake.files set bytes = 1",
    "create table x as select 1",
    "create or replace view lake.files as select 1",
    "with gone as (delete from lake.files returning *) select * from gone",
    "copy (select 1) to 'x.csv'",
    "copy lake.files to 'x.csv'",
    "attach 'warehouse.duckdb'",
    "set threads = 1",
    "pragma version",
    "install httpfs",
    "load httpfs",
    "export database 'x'",
    "call pragma_version()",
    "use lake",
    "vacuum",
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from glob('/etc/*')",
    "select * from query('drop view lake.files')",
    "select * from duckdb_settings()",
    "select * from lake.files where uri in (select content from read_text('/etc/passwd'))",
    "selec 1",
]


@pytest.mark.parametrize("sql", READS)
def test_a_question_is_answered(published_sample, sql: str) -> None:
    assert run_query(published_sample, sql).height > 0


@pytest.mark.parametrize("sql", REFUSED)
def test_anything_else_is_refused_with_a_remedy(sql: str) -> None:
    with pytest.raises(QueryRefused, match="Give one SELECT"):
        check_query(sql)


def test_a_file_named_as_a_table_cannot_be_read(published_sample) -> None:
    with pytest.raises(QueryFailed):
        run_query(published_sample, "select * from '/etc/passwd'")


def test_a_wrong_name_is_answered_with_the_tables_there_are(published_sample) -> None:
    with pytest.raises(QueryFailed, match=r"marts\.meter_days"):
        run_query(published_sample, "select * from marts.metre_days")
    with pytest.raises(QueryFailed, match="energy_kwh"):
        run_query(published_sample, "select energy_kw from marts.meter_days")


def test_sums_of_counts_are_whole_numbers(published_sample) -> None:
    row = run_query(published_sample, "select sum(rows_read) as n, sum(1.5::DECIMAL(9, 2)) as d from lake.files").row(0)
    assert isinstance(row[0], int)
    assert isinstance(row[1], float)


def test_show_tables_lists_schemas_and_rows(published_sample, sample_generation) -> None:
    frame = run_query(published_sample, "SHOW TABLES;")
    assert {f"{schema}.{name}": rows for schema, name, rows in frame.rows()} == dict(sample_generation.tables)
