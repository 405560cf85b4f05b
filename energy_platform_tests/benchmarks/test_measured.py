"""What the benchmarks say of a command, and when they call two sides equal."""

import os
import sys

import pytest

CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', {!r}], check=True); print('done')"
GRANDCHILD = "import time; held = b'x' * 120_000_000; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass\ntime.sleep(0.6)"


def test_memory_and_cpu_of_a_command_include_the_processes_it_starts() -> None:
    from measured import run_measured

    found = run_measured([sys.executable, "-c", CHILD.format(GRANDCHILD)], os.environ)
    assert found.output == "done\n"
    assert found.peak_bytes() > 120_000_000
    assert found.cpu_seconds >= 0.5
    assert found.wall_seconds >= 1.0
    assert found.peak_bytes([(0.0, 1.0)]) == 0


def test_a_command_that_fails_ends_the_benchmark_with_its_words() -> None:
    from measured import run_measured

    with pytest.raises(SystemExit, match=r"ended with 3\nso it goes"):
        run_measured([sys.executable, "-c", "print('so it goes'); raise SystemExit(3)"], os.environ)


def test_sides_differ_by_any_count_and_by_a_millionth_of_a_sum() -> None:
    from pyspark_peer import EXACT, SUMS, differences

    ours = dict.fromkeys(EXACT, 1_000_000.0) | dict.fromkeys(SUMS, 1e6)
    assert differences(ours, ours | {"energy_kwh": 1e6 + 0.5}) == {}
    assert differences(ours, ours | {"energy_kwh": 1e6 + 2}) == {"energy_kwh": (1e6, 1e6 + 2)}
    assert differences(ours, ours | {"days": 1_000_001.0}) == {"days": (1_000_000.0, 1_000_001.0)}


def test_linearity_compares_the_cost_of_a_row_at_the_largest_and_smallest_scale() -> None:
    from lcl_scale import Column, linearity_lines
    from measured import Measured

    def column(rows: int, seconds: float) -> Column:
        return Column(
            "f", "1GiB", rows, {"lake": seconds / 2, "features": seconds / 2}, Measured(0, 0, (), ""), 0, 0, {}
        )

    (line,) = linearity_lines([column(10_000_000, 12.0), column(1_000_000, 1.0)])
    assert "1.00 s at 1,000,000, 1.20 s at 10,000,000; largest / smallest 1.20" in line
    assert "Each million more, from scale to scale: 1.22 s" in line
    assert linearity_lines([column(1_000_000, 1.0)]) == []
