"""``GET`` of the published tables: sites, meters, usage, profiles, forecasts, anomalies.

Belongs here: parameters and answers. Does not belong here: SQL (listings.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from energy_platform.domain.access import READERS
from energy_platform.serving.api import listings
from energy_platform.serving.api.auth import BEARER, Gate
from energy_platform.serving.api.generations import GenerationReader
from energy_platform.serving.api.listings import Asked, Listing
from energy_platform.serving.api.models import Cursor, Limit, Name, page_model
from energy_platform.serving.api.problems import documented

READ_ERRORS = (401, 403, 422, 429, 503)
Site = Annotated[Name | None, Query(description="Only of this site.")]
Meter = Annotated[Name | None, Query(description="Only of this meter.")]
Channel = Annotated[Name | None, Query(description="Only this channel.")]
Commodity = Annotated[Literal["electricity", "gas"] | None, Query(description="Only this commodity.")]
From = Annotated[date | None, Query(alias="from", description="First local day, included.")]
To = Annotated[date | None, Query(description="Last local day, included.")]


@dataclass(frozen=True, slots=True)
class TableReader:
    """What these endpoints work with."""

    gate: Gate
    generations: GenerationReader

    def answer(self, request: Request, listing: Listing, cursor: str | None, limit: int, **filters: Any) -> Response:
        """A page, or 304 when the caller has it already."""
        caller = self.gate.admit(request.headers, READERS)
        generation = self.generations.current()
        # What a key may see follows from its sites, so they are part of what the answer is an answer to.
        tag = f'"{generation.generation_id}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        content = listings.page(generation, listing, Asked(filters, caller.sites.names, cursor, limit))
        return Response(content, media_type="application/json", headers=headers)


def _said(listing: Listing) -> dict[int | str, dict[str, Any]]:
    model = page_model(listing)
    unchanged = {"description": "The generation is that of `If-None-Match`."}
    return {200: {"model": model, "description": "A page."}, 304: unchanged, **documented(*READ_ERRORS)}


def tables_router(reader: TableReader) -> APIRouter:
    """The endpoints."""
    router = APIRouter(prefix="/v1", dependencies=[BEARER], default_response_class=Response)

    @router.get("/sites", tags=["tables"], responses=_said(listings.SITES_LISTING))
    def list_sites(request: Request, site: Site = None, cursor: Cursor = None, limit: Limit = 100) -> Response:
        """Sites: zone and country."""
        return reader.answer(request, listings.SITES_LISTING, cursor, limit, site=site)

    @router.get("/meters", tags=["tables"], responses=_said(listings.METERS_LISTING))
    def list_meters(
        request: Request,
        site: Site = None,
        meter: Meter = None,
        channel: Channel = None,
        commodity: Commodity = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Meters and their channels."""
        asked = {"site": site, "meter": meter, "channel": channel, "commodity": commodity}
        return reader.answer(request, listings.METERS_LISTING, cursor, limit, **asked)

    for path, listing in (("daily", listings.DAILY), ("monthly", listings.MONTHLY), ("yearly", listings.YEARLY)):
        router.add_api_route(
            f"/usage/{path}",
            _spanned(reader, listing, f"Usage by {listing.one_row_per}, oldest first."),
            name=f"usage_{path}",
            tags=["usage"],
            responses=_said(listing),
        )

    @router.get("/usage/profiles", tags=["usage"], responses=_said(listings.PROFILES))
    def usage_profiles(
        request: Request,
        site: Site = None,
        meter: Meter = None,
        channel: Channel = None,
        commodity: Commodity = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Mean usage by hour of the day, working days and weekends apart."""
        asked = {"site": site, "meter": meter, "channel": channel, "commodity": commodity}
        return reader.answer(request, listings.PROFILES, cursor, limit, **asked)

    router.include_router(_results_router(reader))
    return router


def _results_router(reader: TableReader) -> APIRouter:
    router = APIRouter()

    @router.get("/forecasts", tags=["forecasts"], responses=_said(listings.FORECASTS_LISTING))
    def list_forecasts(
        request: Request,
        site: Site = None,
        meter: Meter = None,
        channel: Channel = None,
        commodity: Commodity = None,
        cutoff: Annotated[date | None, Query(description="Local day it was issued for; default the newest.")] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """The forecasts that were given to users: median and band, and why this model."""
        asked = {"site": site, "meter": meter, "channel": channel, "commodity": commodity, "cutoff": cutoff}
        newest = True if cutoff is None else None
        return reader.answer(request, listings.FORECASTS_LISTING, cursor, limit, newest=newest, **asked)

    @router.get("/anomalies", tags=["anomalies"], responses=_said(listings.ANOMALIES_LISTING))
    def list_anomalies(
        request: Request,
        site: Site = None,
        meter: Meter = None,
        channel: Channel = None,
        commodity: Commodity = None,
        detector: Annotated[Name | None, Query(description="Only of this detector.")] = None,
        since: From = None,
        to: To = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """What detectors call anomalous, newest first, with the evidence."""
        asked = {"site": site, "meter": meter, "channel": channel, "commodity": commodity, "detector": detector}
        span = {"from": since, "to": to}
        return reader.answer(request, listings.ANOMALIES_LISTING, cursor, limit, **asked, **span)

    return router


def _spanned(reader: TableReader, listing: Listing, summary: str) -> Any:
    def usage(
        request: Request,
        site: Site = None,
        meter: Meter = None,
        channel: Channel = None,
        commodity: Commodity = None,
        since: From = None,
        to: To = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        asked = {"site": site, "meter": meter, "channel": channel, "commodity": commodity}
        return reader.answer(request, listing, cursor, limit, **asked, **{"from": since, "to": to})

    usage.__doc__ = summary
    return usage
