"""Fixtures that several folders share: the public data, and one home in which the whole flow has run."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest

from energy_platform.flow import FlowRun, run_flow
from energy_platform.settings import Settings, get_settings

# A busy machine is no failure: what a test may take is no part of what it says.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first: a worker that takes one up at the end keeps the other waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What is imported by now stays: the garbage collector need not walk through it again, which is 4 % of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public data sets beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the public data sets are not there: expected in ../shared/data")
    return SHARED_DATA


@contextmanager
def using_home(home: Path, **environment: str) -> Iterator[Settings]:
    """Point the settings of this process at a home, as ``ENERGY_HOME`` would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENERGY_HOME", str(home))
        for name, value in environment.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        try:
            yield get_settings()
        finally:
            get_settings.cache_clear()


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, FlowRun]:
    """The whole flow on the shipped sample homes, once for the session. Do not change this home.

    It looks back one week: the three more of a user's first run repeat the same steps, and cost a third of it.
    """
    with using_home(tmp_path_factory.mktemp("sample") / "home", ENERGY_LOOKBACK_WEEKS="1") as settings:
        return settings, run_flow(settings)
