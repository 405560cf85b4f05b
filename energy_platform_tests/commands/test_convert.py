"""`energy convert`: every record of Firehose objects in the CSV data set, the rest beside it."""

import csv
import gzip
import json

import pytest
from typer.testing import CliRunner

from energy_platform.commands.convert import app
from energy_platform.domain.errors import FileUnreadable


def content(count, start=0):
    events = ({"sensor_id": f"s{n}", "timestamp": n, "data": {"value": n / 2}} for n in range(start, start + count))
    return "".join(json.dumps(event) for event in events).encode()


def convert(source, target):
    return CliRunner().invoke(app, [str(source), str(target)])


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("count", [1, 2, 10_000])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_record_arrives_the_first_and_the_last_included(tmp_path, count, zipped):
    source, target = tmp_path / "object", tmp_path / "out.csv"
    source.write_bytes(gzip.compress(content(count)) if zipped else content(count))
    assert convert(source, target).exit_code == 0
    found = rows(target)
    assert found[0] == ["sensor_id", "timestamp", "value"]
    assert [row[0] for row in found[1:]] == [f"s{n}" for n in range(count)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["object", "out.csv"]


def test_several_gzip_members_are_one_object(tmp_path):
    (tmp_path / "object").write_bytes(gzip.compress(content(2)) + gzip.compress(content(3, start=2)))
    convert(tmp_path / "object", tmp_path / "out.csv")
    assert len(rows(tmp_path / "out.csv")) == 6


def test_a_folder_becomes_one_data_set_or_one_a_file_in_the_same_structure(tmp_path):
    for name in ("2024/01/a", "2024/02/b"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content(3))
    assert convert(tmp_path / "in", tmp_path / "all.csv").exit_code == 0
    assert len(rows(tmp_path / "all.csv")) == 7
    assert convert(tmp_path / "in", tmp_path / "out").exit_code == 0
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.csv")) == [
        "2024/01/a.csv",
        "2024/02/b.csv",
    ]


def test_faults_are_told_and_kept_beside_and_the_good_records_arrive(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "cut").write_bytes(content(2) + b'{"sensor_id": "lost", ')
    (folder / "broken.gz").write_bytes(gzip.compress(content(50))[:-20])
    (folder / "poor").write_bytes(content(1, start=9) + b'{"sensor_id": "x", "timestamp": 1, "data": "\\ud800"}')
    said = convert(folder, tmp_path / "out.csv")
    assert said.exit_code == 3
    assert [row[0] for row in rows(tmp_path / "out.csv")[1:]] == ["s0", "s1", "s9"]
    assert "broken.gz" in said.output
    assert f"byte {len(content(2))}" in said.output
    beside = [json.loads(line) for line in (tmp_path / "out.csv.rejected.ndjson").read_text().splitlines()]
    assert [item["raw_text"].startswith('{"sensor_id": "') for item in beside] == [True, True]
    assert beside[1]["byte_offset"] == len(content(1, start=9))
    (folder / "cut").write_bytes(content(2))
    (folder / "poor").unlink()
    (folder / "broken.gz").unlink()
    assert convert(folder, tmp_path / "out.csv").exit_code == 0
    assert not (tmp_path / "out.csv.rejected.ndjson").exists()


def test_nothing_to_convert_and_no_place_to_write_are_errors_with_a_remedy(tmp_path):
    assert isinstance(convert(tmp_path / "none", tmp_path / "out.csv").exception, FileUnreadable)
    (tmp_path / "in").mkdir()
    assert isinstance(convert(tmp_path / "in", tmp_path / "out.csv").exception, FileUnreadable)
    (tmp_path / "in" / "a").write_bytes(content(1))
    (tmp_path / "file").write_text("")
    assert isinstance(convert(tmp_path / "in", tmp_path / "file" / "out.csv").exception, FileUnreadable)
