"""What the tests of this folder share."""

import pytest

from energy_platform.domain.forecasting.hours import boosting


@pytest.fixture(autouse=True, scope="package")
def few_trees():
    """A sixth of the trees: made-up fleets are simple, and the tests fit dozens of models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "ROUNDS", 30)
        yield
