"""``GET`` of the published tables: sites, meters, usage, profiles, forecasts, anomalies.

Belongs here: paths, parameters and answers. Does not belong here: SQL (listings.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from energy_platform.domain.access import READERS
from energy_platform.serving.api import listings
from energy_platform.serving.api.auth import BEARER, Gate
from energy_platform.serving.api.generations import GenerationReader
from energy_platform.serving.api.listings import Asked, Listing
from energy_platform.serving.api.models import Cursor, Limit, Name, page_model
from energy_platform.serving.api.problems import documented

# What may be asked for, by the name that a listing has for it.
_PARAMETERS: Mapping[str, Any] = {
    "site": Annotated[Name | None, Query(description="Only of this site.")],
    "meter": Annotated[Name | None, Query(description="Only of this meter.")],
    "channel": Annotated[Name | None, Query(description="Only this channel.")],
    "commodity": Annotated[Literal["electricity", "gas"] | None, Query(description="Only this commodity.")],
    "source": Annotated[Name | None, Query(description="Only of this source.")],
    "segment": Annotated[Name | None, Query(description="Only this part of the meters; all of them: all.")],
    "cutoff": Annotated[date | None, Query(description="Local day it was issued for; default the newest.")],
    "detector": Annotated[Name | None, Query(description="Only of this detector.")],
    "anomalous": Annotated[bool | None, Query(description="Only days that are an alarm, or only those that are none.")],
    "since": Annotated[date | None, Query(alias="from", description="First local day, included.")],
    "to": Annotated[date | None, Query(description="Last local day, included.")],
}


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


def tables_router(reader: TableReader) -> APIRouter:
    """The endpoints; what each may be asked for are the filters of its listing."""
    router = APIRouter(prefix="/v1", dependencies=[BEARER], default_response_class=Response)

    def add(path: str, name: str, tag: str, listing: Listing, says: str) -> None:
        unchanged = {"description": "The generation is that of `If-None-Match`."}
        page = {"model": page_model(listing), "description": "A page."}
        responses: dict[int | str, dict[str, Any]] = {200: page, 304: unchanged, **documented(401, 403, 422, 429, 503)}
        endpoint = _endpoint(reader, listing)
        router.add_api_route(path, endpoint, name=name, tags=[tag], description=says, responses=responses)

    add("/sites", "list_sites", "tables", listings.SITES_LISTING, "Sites: zone and country.")
    add("/meters", "list_meters", "tables", listings.METERS_LISTING, "Meters and their channels.")
    for word, listing in (("daily", listings.DAILY), ("monthly", listings.MONTHLY), ("yearly", listings.YEARLY)):
        says = f"Usage by {listing.one_row_per}, oldest first."
        add(f"/usage/{word}", f"usage_{word}", "usage", listing, says)
    says = "Mean usage by hour of the day, working days and weekends apart."
    add("/usage/profiles", "usage_profiles", "usage", listings.PROFILES, says)
    says = "The forecasts that were given to users: median and band, and why this model."
    add("/forecasts", "list_forecasts", "forecasts", listings.FORECASTS_LISTING, says)
    says = "Whole fleets by the half hour or hour, two days ahead. Only for keys of all sites."
    add("/forecasts/fleets", "list_fleet_forecasts", "forecasts", listings.FLEETS_LISTING, says)
    says = "What detectors call anomalous, newest first, with the evidence."
    add("/anomalies", "list_anomalies", "anomalies", listings.ANOMALIES_LISTING, says)
    says = "Days that look worse than 19 of 20 good days, newest first: how bad, by which detectors, and why."
    add("/anomalies/severities", "list_severities", "anomalies", listings.SEVERITIES_LISTING, says)
    says = "Runs of anomalous days of one cause, newest first."
    add("/anomalies/episodes", "list_anomaly_episodes", "anomalies", listings.EPISODES_LISTING, says)
    return router


def _endpoint(reader: TableReader, listing: Listing) -> Callable[..., Response]:
    def listed(request: Request, cursor: str | None, limit: int, **filters: Any) -> Response:
        return reader.answer(request, listing, cursor, limit, **filters)

    def said(name: str, kind: Any, **default: Any) -> Parameter:
        return Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, **default)

    # FastAPI reads the signature: the parameters of a listing are written down once, as its filters.
    asked = [said(name, _PARAMETERS[name], default=None) for name in listing.filters]
    page = [said("cursor", Cursor, default=None), said("limit", Limit, default=100)]
    vars(listed)["__signature__"] = Signature([said("request", Request), *asked, *page])
    return listed
