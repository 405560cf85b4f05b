"""The rules of the house, held by tests: sizes, docstrings, layers, documented commands."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "energy_platform"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
TOP_LEVEL = {
    "energy_platform",
    "energy_platform_tests",
    "dbt_project",
    "workspace.yaml",
    "pyproject.toml",
    "docker-compose.yml",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "docs",
    "deploy",
    "benchmarks",
}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_is_of_one_purpose(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400, "over 400 lines: it is several rooms"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_says_what_belongs_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "no module docstring"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_function_can_be_seen_whole(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno
            assert length <= 70, f"{node.name} has {length} lines"


def test_the_top_level_holds_only_what_the_design_names() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    found = {name.split("/")[0] for name in listed if not name.startswith(".")}
    assert found <= TOP_LEVEL, f"unexpected: {sorted(found - TOP_LEVEL)}"


def test_every_import_points_down() -> None:
    result = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_every_make_target_and_energy_command_in_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make ([a-z]+)", readme, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"README names `make {target}`"
    from typer.main import get_command

    from energy_platform.cli import app

    commands = get_command(app).commands
    for command in set(re.findall(r"(?:^|[`/])energy ([a-z]+)", readme, re.MULTILINE)):
        assert command in commands, f"README names `energy {command}`"


def test_the_lock_pins_with_hashes_and_names_no_index() -> None:
    lock = (ROOT / "deploy" / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert not re.search(r"https?://|--index-url|--extra-index|--find-links", lock)


def test_the_locked_versions_satisfy_the_project() -> None:
    from importlib.metadata import requires, version

    from packaging.requirements import Requirement

    for text in requires("energy-platform") or []:
        requirement = Requirement(text)
        if requirement.marker is None:
            assert requirement.specifier.contains(version(requirement.name), prereleases=True), text


def test_workspace_and_project_agree_on_the_code_location_name() -> None:
    import tomllib

    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    location = workspace["load_from"][0]["python_module"]["location_name"]
    assert location == project["tool"]["dg"]["project"]["code_location_name"]
