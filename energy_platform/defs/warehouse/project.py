"""Where the dbt project is, and a manifest of it that is never out of date.

Belongs here: paths, `dbt parse`. Does not belong here: how models become assets (translator.py), what a run does
(assets.py, adapters/dbt_command.py).
"""

import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from energy_platform.domain.errors import SetupIncomplete
from energy_platform.settings import PROJECT_ROOT, export_for_dbt, get_settings

PROJECT_DIR = PROJECT_ROOT / "dbt_project"
TARGET_DIR = PROJECT_DIR / "target"
# What dbt's runs read in place of parsing the project.
PARSED = TARGET_DIR / "partial_parse.msgpack"
DBT = Path(sys.executable).with_name("dbt")

# What dbt writes into its own project; all other files are its source.
_WRITTEN_BY_DBT = {"target", "logs", ".user.yml"}
# What `dbt parse` leaves that is wanted later: for dbt, and for Dagster. The second is looked at to tell their age.
_KEPT = (PARSED.name, "manifest.json")

_log = logging.getLogger(__name__)


def current_manifest(project_dir: Path = PROJECT_DIR, target_dir: Path = TARGET_DIR) -> Path:
    """The path of a manifest that is newer than every file of the project, parsed now if need be.

    Raises:
        SetupIncomplete: the project does not parse; the message holds what dbt says.
    """
    manifest = target_dir / "manifest.json"
    if not _is_current(manifest, project_dir):
        _log.info("parsing %s: its manifest is missing or out of date", project_dir)
        parse(project_dir, target_dir)
    return manifest


def parse(project_dir: Path = PROJECT_DIR, target_dir: Path = TARGET_DIR) -> None:
    """Run `dbt parse` aside and move what it wrote into ``target_dir``, so that readers never meet half a manifest.

    Raises:
        SetupIncomplete: the project does not parse; the message holds what dbt says.
    """
    export_for_dbt(get_settings())
    target_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target_dir, prefix="parse-") as scratch:
        command = [str(DBT), "--no-use-colors", "--quiet", "parse", "--project-dir", str(project_dir)]
        command += ["--profiles-dir", str(project_dir), "--target-path", scratch, "--log-path", scratch]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, our words
        if outcome.returncode:
            raise SetupIncomplete(f"`dbt parse` failed in {project_dir}:\n{outcome.stdout}{outcome.stderr}".rstrip())
        for name in _KEPT:
            (Path(scratch) / name).replace(target_dir / name)


def _is_current(manifest: Path, project_dir: Path) -> bool:
    if not manifest.exists():
        return False
    sources = (path for child in project_dir.iterdir() if child.name not in _WRITTEN_BY_DBT for path in _files(child))
    return manifest.stat().st_mtime >= max((path.stat().st_mtime for path in sources), default=0.0)


def _files(path: Path) -> list[Path]:
    # Folders too: a deleted file leaves only its folder's time behind.
    return [path, *path.rglob("*")] if path.is_dir() else [path]


if __name__ == "__main__":  # set-up: so that the first command does not pay for the parse
    current_manifest()
