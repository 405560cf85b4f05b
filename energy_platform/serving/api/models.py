"""What answers look like, for the OpenAPI document; tests hold the answers against these.

Belongs here: shapes. Does not belong here: the columns of published tables (domain/columns), which shapes are made of.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import polars as pl
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, create_model

from energy_platform.domain.columns import Column
from energy_platform.domain.control.commands import CommandState
from energy_platform.domain.control.devices import Action
from energy_platform.serving.api.listings import MOST_ROWS, Listing

_Item = TypeVar("_Item")
# PostgreSQL takes no NUL, and nothing here is named with a control character.
_PLAIN = r"^[^\x00-\x1f\x7f]+$"
Name = Annotated[str, Query(min_length=1, max_length=200, pattern=_PLAIN)]
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=_PLAIN)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="Rows of the page at most.")]
Cursor = Annotated[str | None, Query(max_length=2_000, description="`next_cursor` of the page before.")]


class Page(BaseModel, Generic[_Item]):
    """A page of a list."""

    generation: str | None = Field(default=None, description="Published generation that it was read from.")
    items: list[_Item]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one.")


def item_model(listing: Listing) -> type[BaseModel]:
    """The shape of a listing's rows, made of its columns."""
    fields: dict[str, Any] = {}
    for column in listing.columns:
        kind = _python_type(column)
        described = Field(description=f"{column.meaning}{f' [{column.unit}]' if column.unit else ''}")
        # A sum over no rows is null, whatever a contract says of the table itself.
        fields[column.name] = (kind | None, described)
    name = "".join(part.capitalize() for part in listing.name.split("_"))
    return create_model(name, __config__=ConfigDict(extra="forbid"), __doc__=f"One {listing.one_row_per}.", **fields)


def page_model(listing: Listing) -> type[BaseModel]:
    """The shape of a page of a listing."""
    item: Any = item_model(listing)
    made: type[BaseModel] = Page[item]
    return made


def _python_type(column: Column) -> type:
    known = ((pl.String, str), (pl.Boolean, bool), (pl.Date, date), (pl.Datetime, datetime))
    named = next((kind for dtype, kind in known if column.dtype == dtype), None)
    return named or (int if column.dtype.is_integer() else float)


class LiveQuantity(BaseModel):
    """The newest value of one quantity."""

    value: float
    unit: str
    at_utc: datetime
    window_mean: float = Field(description="Mean over the newest samples, up to twenty.")
    window_from_utc: datetime


class LiveItem(BaseModel):
    """A channel as it is now."""

    meter_id: str
    channel: str
    site_id: str
    commodity: str
    is_on: bool | None = Field(description="At least 50 V; null when it tells no voltage.")
    last_seen_utc: datetime
    values: dict[str, LiveQuantity]


class AverageItem(BaseModel):
    """The mean of five samples that follow each other."""

    meter_id: str
    channel: str
    quantity: str
    unit: str
    commodity: str
    from_utc: datetime
    at_utc: datetime
    average: float


class AlertItem(BaseModel):
    """An episode: one alert from its opening to its recovery."""

    episode_id: str
    rule: str
    severity: str
    subject: str
    site_id: str | None
    meter_id: str | None
    channel: str | None
    state: Literal["open", "acknowledged", "snoozed", "recovered"]
    title: str
    text: str
    value: float | None
    worst_value: float | None
    limit: float | None
    unit: str
    breaches: int
    evidence: dict[str, Any]
    link: str
    opened_at_utc: datetime
    newest_at_utc: datetime
    acknowledged_by: str | None
    snoozed_until_utc: datetime | None
    recovered_at_utc: datetime | None


class AlertStep(BaseModel):
    """One turn of an episode."""

    number: int
    kind: str
    at_utc: datetime
    by: str | None


class AlertDetail(AlertItem):
    """An episode with its steps."""

    steps: list[AlertStep]


class VerdictBody(BaseModel):
    """Whether an episode of anomalies was real."""

    model_config = ConfigDict(extra="forbid")

    is_real: bool = Field(strict=True, description="Real days teach no detector; others count as good days.")
    note: Annotated[str, Field(max_length=500, pattern=_PLAIN.replace("+", "*"))] = Field(
        default="", description="In your words."
    )


class VerdictItem(BaseModel):
    """What was said of an episode."""

    episode_id: str
    meter_id: str
    channel: str
    first_date: date
    last_date: date
    is_real: bool
    said_by: str
    note: str
    said_at_utc: datetime


class DeviceItem(BaseModel):
    """A device and where it stands."""

    device_id: str
    site_id: str
    meter_id: str
    channel: str
    description: str
    protocol: Literal["esp32", "structured"]
    capabilities: list[Action]
    protected: bool
    switchings_per_hour: int
    is_on: bool | None = Field(description="By its newest voltage; null when it never told one.")
    last_seen_utc: datetime | None
    latched: str | None = Field(
        description="Why its meter was shut off and waits to be cleared; null when it does not."
    )
    stopped: str | None = Field(description="Why all control of its site is stopped; null when it is not.")


class CommandItem(BaseModel):
    """A command and what became of it."""

    command_id: str
    device_id: str
    site_id: str
    action: Action
    requester: str
    reason: str
    requested_at_utc: datetime
    expires_at_utc: datetime
    is_shut_off: bool
    state: CommandState
    attempts: int
    sent_at_utc: datetime | None
    tried_at_utc: datetime | None
    ended_at_utc: datetime | None
    detail: str


class CommandBody(BaseModel):
    """What to switch, and why."""

    model_config = ConfigDict(extra="forbid")

    action: Action
    reason: Text
    command_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")] | None = Field(
        default=None, description="Your own identifier: asked for again under it, nothing is done again."
    )
    expires_at: datetime | None = Field(
        default=None,
        description="With its zone; nothing is sent from then on. At most an hour ahead; default a minute.",
    )


class ReasonBody(BaseModel):
    """Why something is done; it stands in the audit trail."""

    model_config = ConfigDict(extra="forbid")

    reason: Text


class KillSwitchBody(ReasonBody):
    """What to stop, and why."""

    scope: Annotated[str, Field(min_length=1, max_length=64, pattern=_PLAIN)] = Field(
        description="A site, or * for every one."
    )


class KillSwitchItem(BaseModel):
    """A kill switch that is thrown."""

    scope: str
    reason: str


class LatchAnswer(BaseModel):
    """What clearing a latch did."""

    meter_id: str
    was_latched: bool


class Health(BaseModel):
    """Whether the API can do its work."""

    status: Literal["ok"]
