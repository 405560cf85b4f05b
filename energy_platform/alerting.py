"""Alerting with the settings of this process: store, rules, channels, and what is published of sites.

Belongs here: from settings to the parts. Does not belong here: what the parts do (streaming/alerting.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import polars as pl

from energy_platform.adapters.alert_rules import RuleBook
from energy_platform.adapters.averages_mirror import AveragesMirror, into_dynamodb, into_influx
from energy_platform.adapters.notify import open_channels
from energy_platform.adapters.operations import Operations
from energy_platform.adapters.published import Published
from energy_platform.domain.columns import METERS
from energy_platform.domain.errors import NothingPublished
from energy_platform.serving.published import open_published
from energy_platform.settings import Settings
from energy_platform.streaming.alerting import Alerting, Sites


@contextmanager
def open_alerting(settings: Settings) -> Iterator[Alerting]:
    """Alerting, for the time of a ``with`` block.

    Raises:
        AlertRuleInvalid: a file of rules is wrong.
        ChannelUnusable: an address of ENERGY_CHANNELS is none.
    """
    book = RuleBook(settings.alerts)
    book.current()
    channels = open_channels(settings.channel_addresses, sns_client=sns_client_of(settings))
    published = open_published(settings)
    with Operations.open(settings.operations_address) as operations:
        yield Alerting(operations, book, channels, settings.dagster_url, lambda: read_sites(published))


def sns_client_of(settings: Settings) -> Callable[[], Any]:
    """Makes boto3's client of SNS; region and credentials come from the usual AWS variables and files."""

    def make() -> Any:
        from energy_platform.adapters.aws.client import Aws

        return Aws(endpoint_url=settings.s3_endpoint_url).client("sns")

    return make


@contextmanager
def open_mirrors(settings: Settings) -> Iterator[list[AveragesMirror]]:
    """The mirrors of averages that are asked for (DynamoDB, InfluxDB), for the time of a ``with`` block."""

    def client() -> Any:
        from energy_platform.adapters.aws.client import Aws

        return Aws(endpoint_url=settings.s3_endpoint_url).client("dynamodb")

    mirrors: list[AveragesMirror] = []
    if settings.averages_table is not None:
        table = settings.averages_table
        mirrors.append(AveragesMirror(f"table {table}", into_dynamodb(table, client)))
    if settings.influx_url is not None:
        token = settings.influx_token.get_secret_value() if settings.influx_token else None
        mirrors.append(AveragesMirror("InfluxDB", into_influx(settings.influx_url, token)))
    with ExitStack() as running:
        yield [running.enter_context(mirror) for mirror in mirrors]


def read_sites(published: Published) -> Sites:
    """Sites and zones as they are published; none when nothing is."""
    try:
        generation = published.current()
    except NothingPublished:
        return Sites()
    files = [generation.root / file for file in generation.files.get(METERS.full_name, ())]
    if not files:
        return Sites()
    meters = pl.read_parquet(files, columns=["meter_id", "site_id", "time_zone"])
    return Sites(
        dict(meters.select("meter_id", "site_id").iter_rows()), dict(meters.select("site_id", "time_zone").iter_rows())
    )
