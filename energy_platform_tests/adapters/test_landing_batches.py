from __future__ import annotations

import gzip
from datetime import datetime

import orjson
import pytest

from energy_platform.adapters import landing_batches
from energy_platform.adapters.landing_batches import BatchName, LandingBatches
from energy_platform.domain.events import parse_events

NOW = datetime(2024, 6, 1, 12)
NAME = BatchName("meters/live", "topic-0", "17", "42")
PAYLOADS = [
    orjson.dumps({"meter_id": "m1", "interval_start": "2024-01-01T00:30Z", "interval_minutes": 30, "energy_kwh": 0.25}),
    b'{"broken',
    b"\xff\x00binary",
]


def land(root, *, payloads=PAYLOADS, **options):
    return LandingBatches(root, **options).land(
        parse_events(payloads, received_at_utc=NOW),
        NAME,
        received_at_utc=NOW,
        raw=payloads.__getitem__,
        where=lambda index: {"offset": str(index)},
    )


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_batch_is_one_file_of_rows_and_one_of_refusals_named_by_its_place_and_content(tmp_path):
    outcome = land(tmp_path)
    assert (outcome.accepted, outcome.rejected) == (1, 2)
    accepted, refused = outcome.files
    assert accepted.parent == tmp_path / "stream_readings/2024/06/01"
    assert accepted.name.startswith("meters_live-topic_0-17-42-")
    assert refused.parent == tmp_path / "stream_readings/rejected/2024/06/01"
    assert orjson.loads(accepted.read_bytes())["interval_start_utc"] == "2024-01-01T00:30:00Z"


def test_a_refusal_keeps_its_bytes_as_text_or_base64_with_reason_and_place(tmp_path):
    text, binary = (orjson.loads(line) for line in land(tmp_path).files[1].read_bytes().splitlines())
    assert (text["raw"], text["raw_encoding"], text["reason"]) == ('{"broken', "text", "not_json")
    assert (binary["raw"], binary["raw_encoding"]) == ("/wBiaW5hcnk=", "base64")
    assert binary["where"] == {"offset": "2"}
    assert binary["received_at_utc"] == "2024-06-01T12:00:00.000000Z"


@pytest.mark.parametrize("compress", [False, True])
def test_landing_the_same_batch_again_changes_nothing(tmp_path, compress):
    land(tmp_path, compress=compress)
    before = {path: (tmp_path / path).read_bytes() for path in files(tmp_path)}
    land(tmp_path, compress=compress)
    assert {path: (tmp_path / path).read_bytes() for path in files(tmp_path)} == before


def test_gzip_holds_the_same_rows(tmp_path):
    plain, packed = land(tmp_path / "a").files[0], land(tmp_path / "b", compress=True).files[0]
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()


def test_a_shape_goes_to_the_source_it_is_told(tmp_path):
    land(tmp_path, sources={"readings": "my_meters"})
    assert {path.split("/")[0] for path in files(tmp_path)} == {"my_meters"}


def test_when_the_disk_refuses_nothing_half_written_is_left(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(landing_batches.os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        land(tmp_path)
    assert files(tmp_path) == []


def test_only_old_leftovers_are_swept(tmp_path, monkeypatch):
    incoming = tmp_path / landing_batches.INCOMING
    incoming.mkdir()
    for name in ("old.part", "new.part"):
        (incoming / name).write_bytes(b"{")
    import os

    os.utime(incoming / "old.part", (0, 0))
    assert [path.name for path in LandingBatches(tmp_path).sweep()] == ["old.part"]
    assert files(tmp_path) == [".incoming/new.part"]


def test_long_and_odd_names_stay_within_what_a_file_system_takes(tmp_path):
    stem = BatchName("s" * 300, "../../shardId-000000000000", "4" * 56, "9" * 56).stem()
    assert len(stem) + 24 < 255
    assert "/" not in stem
    assert not stem.startswith(".")
