"""Averages of five beside the operations store: in a DynamoDB table, in InfluxDB, or in both.

    DynamoDB   {sensor_id (S, key), timestamp (N, key), thing_measured, avg (N), unit, channel}, as the earlier station kept them
    InfluxDB   average,sensor_id=…,channel=…,quantity=…,commodity=…,unit=… value=… <time of the last of the five, ns>

Belongs here: items, lines and retries. Does not belong here: which values are averaged (domain/live). The operations store
is what counts; a mirror follows it in a thread of its own, and what a kill takes from its queue is missing there
until somebody asks the store. The same average again changes nothing in either.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Self

from energy_platform.domain.errors import CloudRefused
from energy_platform.domain.live import Average
from energy_platform.domain.live.state import micros_of

logger = logging.getLogger(__name__)

MOST_WAITING = 100_000
RETRY_SECONDS = 5.0
TIMEOUT_SECONDS = 10.0
_AT_ONCE = 500
_DYNAMODB_ITEMS = 25
Put = Callable[[Sequence[Average]], None]


class AveragesMirror:
    """A thread that hands averages on; a ``with`` block long.

    Args:
        name: of the place, for the log.
        put: takes some averages, or raises OSError or CloudRefused; what it took before it raised is given to it again.
        retry_seconds: how long it waits after a refusal.
    """

    def __init__(self, name: str, put: Put, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._name, self._put, self._retry_seconds = name, put, retry_seconds
        self._queue: queue.Queue[Average] = queue.Queue(MOST_WAITING)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="averages mirror", daemon=True)
        self.mirrored = self.missed = 0

    def put(self, averages: Sequence[Average]) -> None:
        """Take averages; when the place has been away for so long that the queue is full, they are counted as missed."""
        for average in averages:
            try:
                self._queue.put_nowait(average)
            except queue.Full:
                self.missed += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Hand on what waits, unless the place refuses it, and end."""
        self._stop.set()
        self._thread.join()
        if self.missed or not self._queue.empty():
            logger.warning("%d averages are not in %s", self.missed + self._queue.qsize(), self._name)

    def _run(self) -> None:
        waiting: list[Average] = []
        while not (self._stop.is_set() and self._queue.empty() and not waiting):
            waiting += self._taken(_AT_ONCE - len(waiting))
            if not waiting:
                continue
            try:
                self._put(waiting)
            except (OSError, CloudRefused) as problem:
                logger.warning("%s takes no averages (%s); tried again", self._name, problem)
                if self._stop.wait(self._retry_seconds):
                    self.missed += len(waiting)
                    return
            else:
                self.mirrored += len(waiting)
                waiting = []

    def _taken(self, most: int) -> list[Average]:
        taken: list[Average] = []
        try:
            while len(taken) < most:
                taken.append(self._queue.get(timeout=0.0 if taken else 0.2))
        except queue.Empty:
            pass
        return taken


def into_dynamodb(table: str, make_client: Callable[[], Any]) -> Put:
    """Puts averages into a table with the keys ``sensor_id`` (S) and ``timestamp`` (N).

    Args:
        table: its name.
        make_client: makes boto3's client of DynamoDB when the first averages come.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    clients: list[Any] = []

    def put(averages: Sequence[Average]) -> None:
        if not clients:
            clients.append(make_client())
        # Of equal keys the last one counts; in one request DynamoDB takes a key once.
        items = {(item["sensor_id"]["S"], item["timestamp"]["N"]): item for item in map(_item, averages)}
        requests: list[Any] = [{"PutRequest": {"Item": item}} for item in items.values()]
        while requests:
            try:
                said = clients[0].batch_write_item(RequestItems={table: requests[:_DYNAMODB_ITEMS]})
            except (BotoCoreError, ClientError) as problem:
                raise ConnectionError(str(problem)) from None
            left = said.get("UnprocessedItems", {}).get(table, [])
            requests = [*left, *requests[_DYNAMODB_ITEMS:]]
            if len(left) == _DYNAMODB_ITEMS:
                raise ConnectionError(f"{table} is too busy")

    return put


def into_influx(write_url: str, token: str | None = None) -> Put:
    """Posts averages as line protocol, with the time at which they were measured.

    Args:
        write_url: ``http://host:8086/write?db=energy`` (1.x) or ``http://host:8086/api/v2/write?org=…&bucket=…``.
        token: of InfluxDB 2.
    """
    import requests

    headers = {"Content-Type": "text/plain; charset=utf-8"} | ({"Authorization": f"Token {token}"} if token else {})
    session = requests.Session()

    def put(averages: Sequence[Average]) -> None:
        body = "\n".join(map(influx_line, averages)).encode()
        session.post(write_url, data=body, headers=headers, timeout=TIMEOUT_SECONDS).raise_for_status()

    return put


def influx_line(average: Average) -> str:
    r"""One average in line protocol; what separates tags is escaped in their values.

    Example:
        >>> from datetime import datetime
        >>> at = datetime(1970, 1, 1, 0, 0, 1)
        >>> influx_line(Average("gas 1", "main", "power_kw", "kW", "gas", at, at, 2.5))
        'average,sensor_id=gas\\ 1,channel=main,quantity=power_kw,commodity=gas,unit=kW value=2.5 1000000000'
    """
    tags = {
        "sensor_id": average.meter_id,
        "channel": average.channel,
        "quantity": average.quantity,
        "commodity": average.commodity,
        "unit": average.unit,
    }
    said = ",".join(f"{name}={_escaped(value)}" for name, value in tags.items())
    return f"average,{said} value={average.average!r} {micros_of(average.at_utc) * 1000}"


def _escaped(value: str) -> str:
    plain = " ".join(value.split("\n")).replace("\\", "\\\\")
    for separator in (",", "=", " "):
        plain = plain.replace(separator, f"\\{separator}")
    return plain


def _item(average: Average) -> dict[str, dict[str, str]]:
    """One average as an item; what is not the one quantity of a main channel says so in its sensor's name."""
    is_main = average.channel == "main" and average.quantity in {"power_kw", "value", "energy_kwh"}
    sensor = average.meter_id if is_main else f"{average.meter_id}/{average.channel}/{average.quantity}"
    return {
        "sensor_id": {"S": sensor},
        "timestamp": {"N": str(Decimal(micros_of(average.at_utc)) / 1_000_000)},
        "thing_measured": {"S": average.commodity if is_main else average.quantity},
        "avg": {"N": repr(average.average)},
        "unit": {"S": average.unit},
        "channel": {"S": average.channel},
    }
