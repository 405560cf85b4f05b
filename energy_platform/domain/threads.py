"""How many threads numeric libraries may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """scikit-learn without threads and without checks of each call: on some thousand rows both cost more than the work.

    On a busy machine threads wait for each other: k-means of 20,000 rows took ten times as long with two as with one.
    """
    import sklearn
    import sklearn.cluster  # before the limit, which holds only for libraries that are loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1), sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        yield
