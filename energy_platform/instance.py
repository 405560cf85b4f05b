"""The embedded Dagster instance below ``ENERGY_HOME``: its folder, its dagster.yaml, its handle."""

from importlib.resources import files

import dagster as dg

from energy_platform.settings import Settings


def prepare_home(settings: Settings) -> None:
    """Make the folders of an installation and its ``dagster.yaml`` (kept as it is when there is one).

    Dagster's first page asks newcomers for an e-mail address; a file here says that was answered.
    """
    for folder in (settings.home_path, settings.landing_path, settings.dagster_home, settings.reports_path):
        folder.mkdir(parents=True, exist_ok=True)
    config = settings.dagster_home / "dagster.yaml"
    if not config.exists():
        config.write_text((files("energy_platform") / "deploy" / "dagster.yaml").read_text(encoding="utf-8"))

    greeting = settings.dagster_home / ".nux" / "nux.yaml"
    greeting.parent.mkdir(exist_ok=True)
    greeting.write_text("seen: 1\n", encoding="utf-8")


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance of these settings."""
    prepare_home(settings)
    return dg.DagsterInstance.from_config(str(settings.dagster_home))
