"""The scripts in ``benchmarks/`` import each other by name, as when one of them is run."""

from collections.abc import Iterator

import pytest

from energy_platform_tests.conftest import ROOT


@pytest.fixture(scope="package", autouse=True)
def benchmarks_on_the_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield
