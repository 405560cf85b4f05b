"""Runs a command and says what it cost: wall and CPU seconds, and the memory of its process tree over time.

Belongs here: what the benchmarks of this folder share. Does not belong here: what is measured, how it is printed.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """What one command took.

    Args:
        wall_seconds: from its start to its end, imports and all.
        cpu_seconds: user and system, of all processes it started and waited for.
        memory: (seconds since 1970, resident bytes of the tree); pages that processes share count for each.
        output: what it wrote to stdout.
    """

    wall_seconds: float
    cpu_seconds: float
    memory: tuple[tuple[float, int], ...]
    output: str

    def peak_bytes(self, windows: Sequence[tuple[float, float]] | None = None) -> int:
        """Most memory seen; with ``windows`` (start, end in seconds since 1970) only within them."""
        return max(
            (
                size
                for moment, size in self.memory
                if windows is None or any(start <= moment <= end for start, end in windows)
            ),
            default=0,
        )


def run_measured(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run a command to its end; leaves this process with its words when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started, memory = time.perf_counter(), []
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, text=True) as process:
        tree = psutil.Process(process.pid)
        while process.poll() is None:  # our commands write one line at their end: the pipe cannot fill up
            size = sum(_resident(one) for one in [tree, *_children(tree)])
            memory.append((time.time(), size))
            time.sleep(SAMPLE_SECONDS)
        output = process.stdout.read() if process.stdout else ""
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}\n{output}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(wall, cpu, tuple(memory), output)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def folder_bytes(folder: Path) -> int:
    """Bytes on disk below a folder; files that are hard-linked from elsewhere are not its own."""
    files = (path.lstat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(status.st_blocks * 512 for status in files if status.st_nlink == 1)


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as docs/measurements.md keeps it; numbers to one digit, whole ones without.

    Example:
        >>> print(markdown(["", "s"], [["lake", 4.321], ["rows", 3358649]]))
        | | s |
        |---|---|
        | lake | 4.3 |
        | rows | 3,358,649 |
    """
    lines = [header, *rows]
    text = ["|" + "".join(f" {_cell(cell)} |" if cell != "" else " |" for cell in line) for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(header), *text[1:]])


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def say(text: str) -> None:
    """Progress, beside the tables on stdout."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()
