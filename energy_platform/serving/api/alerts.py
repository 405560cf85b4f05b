"""``/v1/alerts``: episodes, and saying that somebody looks after one.

Belongs here: parameters and answers. Does not belong here: what an episode does (domain/alerts).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.episodes import (
    acknowledge_episode,
    find_episode,
    list_episodes,
    list_steps,
)
from energy_platform.domain.access import OPERATORS, READERS
from energy_platform.domain.alerts.records import Episode, EpisodeState
from energy_platform.domain.errors import EpisodeNotFound
from energy_platform.serving.api.answers import JSON, answered, as_page, read_time_cursor, write_cursor
from energy_platform.serving.api.auth import BEARER, Caller, Gate
from energy_platform.serving.api.models import AlertDetail, AlertItem, Cursor, Limit, Name, Page
from energy_platform.serving.api.problems import Problem, documented

EpisodeId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
State = Literal["open", "acknowledged", "snoozed", "recovered"]


@dataclass(frozen=True, slots=True)
class AlertDesk:
    """What these endpoints work with."""

    gate: Gate
    operations: Operations
    now: Callable[[], datetime]

    def find(self, caller: Caller, episode_id: str) -> Episode:
        """An episode that a caller may see."""
        try:
            episode = find_episode(self.operations, episode_id)
        except EpisodeNotFound:
            raise Problem(404, "no such alert") from None
        caller.expect_site(episode.subject.site_id, what="such alert")
        return episode


def alerts_router(desk: AlertDesk) -> APIRouter:
    """The endpoints."""
    router = APIRouter(prefix="/v1/alerts", tags=["alerts"], dependencies=[BEARER])

    @router.get("", response_model=Page[AlertItem], responses=documented(401, 403, 422, 429))
    def list_alerts(
        request: Request,
        state: Annotated[list[State] | None, Query(description="Only in these states.")] = None,
        rule: Annotated[Name | None, Query(description="Only of this rule.")] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Alert episodes, newest first."""
        caller = desk.gate.admit(request.headers, READERS)
        found = list_episodes(
            desk.operations,
            states=[EpisodeState(one) for one in state or ()],
            site_ids=caller.sites.names,
            rule=rule,
            before=None if cursor is None else _place(cursor),
            limit=limit + 1,
        )
        kept = found[:limit]
        last = kept[-1] if len(found) > limit else None
        place = write_cursor(last.opened_at_utc.isoformat(), last.episode_id) if last else None
        return Response(as_page([_item(one) for one in kept], place), media_type=JSON)

    @router.get("/{episode_id}", response_model=AlertDetail, responses=documented(401, 403, 404, 422, 429))
    def read_alert(request: Request, episode_id: EpisodeId) -> Response:
        """One alert with its steps."""
        caller = desk.gate.admit(request.headers, READERS)
        return _detail(desk, desk.find(caller, episode_id))

    @router.post("/{episode_id}/acknowledge", response_model=AlertDetail, responses=documented(401, 403, 404, 422, 429))
    def acknowledge(request: Request, episode_id: EpisodeId) -> Response:
        """Say that you look after it; again, or when it is over, changes nothing."""
        caller = desk.gate.admit(request.headers, OPERATORS)
        desk.find(caller, episode_id)
        episode = acknowledge_episode(desk.operations, episode_id, by=caller.name, now_utc=desk.now())
        return _detail(desk, episode)

    return router


def _detail(desk: AlertDesk, episode: Episode) -> Response:
    steps = [
        {"number": step.number, "kind": step.kind.value, "at_utc": step.at_utc, "by": step.by}
        for step in list_steps(desk.operations, episode.episode_id)
    ]
    return answered(_item(episode) | {"steps": steps})


def _item(episode: Episode) -> dict[str, Any]:
    own = {name: getattr(episode, name) for name in AlertItem.model_fields if hasattr(episode, name)}
    subject = episode.subject
    return own | {
        "severity": episode.severity.value,
        "state": episode.state.value,
        "subject": subject.name,
        "site_id": subject.site_id,
        "meter_id": subject.meter_id,
        "channel": subject.channel,
        "evidence": dict(episode.evidence),
    }


def _place(cursor: str) -> tuple[datetime, str]:
    at_utc, (episode_id,) = read_time_cursor(cursor, 2)
    return at_utc, episode_id
