"""``GET /v1/live`` and ``/v1/averages``: what the operations store knows of now.

Belongs here: parameters and answers. Does not belong here: the arithmetic (domain/live), the tables (adapters/operations).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.averages import Place, page_of_averages
from energy_platform.adapters.operations.devices import list_devices
from energy_platform.adapters.operations.live import list_live
from energy_platform.domain.access import READERS
from energy_platform.domain.live import LiveChannel
from energy_platform.serving.api.answers import JSON, as_page, read_cursor, read_time_cursor, write_cursor
from energy_platform.serving.api.auth import BEARER, Caller, Gate
from energy_platform.serving.api.generations import GenerationReader
from energy_platform.serving.api.models import AverageItem, Cursor, Limit, LiveItem, Name, Page
from energy_platform.serving.api.problems import Problem, documented


@dataclass(frozen=True, slots=True)
class LiveReader:
    """What these endpoints work with."""

    gate: Gate
    operations: Operations
    generations: GenerationReader

    def site_of_meters(self) -> dict[str, str]:
        """The site of every meter that the registry of devices or a published table names."""
        return self._published_sites() | {device.meter_id: device.site_id for device in list_devices(self.operations)}

    def site_of(self, meter_id: str) -> str:
        """The site of one meter; a meter that nothing names is its own, as in the lake."""
        return self.site_of_meters().get(meter_id, meter_id)

    def channels(self, caller: Caller, meter: str | None) -> list[tuple[LiveChannel, str]]:
        """The live channels that a caller may see, each with its site."""
        sites = self.site_of_meters()
        found = list_live(self.operations, meter_ids=None if meter is None else [meter])
        named = [(channel, sites.get(channel.meter_id, channel.meter_id)) for channel in found]
        return [(channel, site) for channel, site in named if caller.sites.include(site)]

    def _published_sites(self) -> dict[str, str]:
        # Live values come before anything is published.
        try:
            return self.generations.current().site_of_meters()
        except Problem:
            return {}


def live_router(reader: LiveReader) -> APIRouter:
    """The endpoints."""
    router = APIRouter(prefix="/v1", tags=["live"], dependencies=[BEARER])

    @router.get("/live", response_model=Page[LiveItem], responses=documented(401, 403, 422, 429))
    def live(
        request: Request,
        site: Annotated[Name | None, Query()] = None,
        meter: Annotated[Name | None, Query()] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Every channel as it is now: on or off, newest values, last seen."""
        caller = reader.gate.admit(request.headers, READERS)
        found = [(one, at) for one, at in reader.channels(caller, meter) if site is None or at == site]
        if cursor is not None:
            meter_id, channel = map(str, read_cursor(cursor, 2))
            found = [(one, at) for one, at in found if (one.meter_id, one.channel) > (meter_id, channel)]
        kept = found[:limit]
        place = write_cursor(kept[-1][0].meter_id, kept[-1][0].channel) if len(found) > limit else None
        return Response(as_page([_live_item(one, at) for one, at in kept], place), media_type=JSON)

    @router.get("/averages", response_model=Page[AverageItem], responses=documented(401, 403, 404, 422, 429))
    def averages(
        request: Request,
        meter: Name,
        channel: Annotated[Name | None, Query()] = None,
        quantity: Annotated[Name | None, Query(description="Such as voltage_v, power_kw.")] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Averages of each five samples of a meter, newest first; they are kept for a day."""
        caller = reader.gate.admit(request.headers, READERS)
        caller.expect_site(reader.site_of(meter), what="such meter")
        before = None if cursor is None else _place(cursor)
        found = page_of_averages(
            reader.operations, meter, channel=channel, quantity=quantity, before=before, limit=limit + 1
        )
        kept = found[:limit]
        last = kept[-1] if len(found) > limit else None
        place = write_cursor(last.at_utc.isoformat(), last.channel, last.quantity) if last else None
        return Response(as_page(kept, place), media_type=JSON)

    return router


def _place(cursor: str) -> Place:
    at_utc, (channel, quantity) = read_time_cursor(cursor, 3)
    return at_utc, channel, quantity


def _live_item(channel: LiveChannel, site_id: str) -> dict[str, Any]:
    return {
        "meter_id": channel.meter_id,
        "channel": channel.channel,
        "site_id": site_id,
        "commodity": channel.commodity,
        "is_on": channel.is_on,
        "last_seen_utc": channel.last_seen_utc,
        "values": {
            name: {
                "value": value.value,
                "unit": value.unit,
                "at_utc": value.at_utc,
                "window_mean": value.window_mean,
                "window_from_utc": value.window_from_utc,
            }
            for name, value in channel.values.items()
        },
    }
