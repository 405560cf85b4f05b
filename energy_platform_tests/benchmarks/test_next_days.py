"""The daily file that lcl_scale.py --increment makes is what the loader takes for a day of the source."""

from datetime import datetime
from pathlib import Path

from energy_platform_tests.benchmarks.lcl_folder import END, write_lcl_folder
from energy_platform_tests.lake_files import Lake

METERS = 3


def test_each_file_holds_the_48_half_hours_of_every_meter_that_follow_what_is_there(tmp_path: Path) -> None:
    from next_days import write_next_days

    lake = Lake(tmp_path)
    write_lcl_folder(lake.landing.root / "lcl", meters=METERS, days=10)
    lake.load()
    files = write_next_days(lake.warehouse, tmp_path / "days", days=2)
    newest = [END]
    for file in files:
        lake.put(file.name, file.read_bytes())
        rows = lake.load().rows
        assert (rows.read, rows.accepted, rows.superseding) == (48 * METERS, 48 * METERS, 0)
        newest.append(lake.read("SELECT max(interval_start_utc) FROM lake.readings").item())
    assert newest == [END, datetime(2014, 3, 1), datetime(2014, 3, 2)]
    repeated = lake.read(
        "SELECT avg((a.energy_kwh = b.energy_kwh)::INT) FROM lake.readings AS a JOIN lake.readings AS b USING (meter_id) "
        "WHERE a.file_id = 2 AND b.interval_start_utc = a.interval_start_utc - INTERVAL 7 DAY"
    ).item()
    assert repeated == 1.0
