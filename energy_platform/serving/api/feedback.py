"""``/v1/anomalies/episodes/{episode_id}/feedback``: what people say of an episode, real or not.

Belongs here: parameters and answers. Does not belong here: what a verdict changes (domain/anomalies/episodes.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.feedback import Verdict, acknowledge, history
from energy_platform.domain.access import OPERATORS, READERS
from energy_platform.serving.api.answers import JSON, answered, as_page
from energy_platform.serving.api.auth import BEARER, Caller, Gate
from energy_platform.serving.api.generations import GenerationReader
from energy_platform.serving.api.models import Page, VerdictBody, VerdictItem
from energy_platform.serving.api.problems import Problem, documented

EpisodeId = Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,40}$")]
_PATH = "/{episode_id}/feedback"
_ERRORS = documented(401, 403, 404, 422, 429, 503)
_EPISODE = """
    SELECT episode_id, meter_id, channel, first_date, last_date, site_id
    FROM anomalies.episodes JOIN lake.meters USING (meter_id, channel) WHERE episode_id = $episode_id"""


@dataclass(frozen=True, slots=True)
class FeedbackDesk:
    """What these endpoints work with."""

    gate: Gate
    operations: Operations
    generations: GenerationReader
    now: Callable[[], datetime]

    def find(self, caller: Caller, episode_id: str) -> dict[str, Any]:
        """What a verdict repeats of a published episode that a caller may see."""
        found = self.generations.current().rows(_EPISODE, {"episode_id": episode_id})
        if not found:
            raise Problem(404, "no such episode")
        (episode,) = found
        caller.expect_site(episode.pop("site_id"), what="such episode")
        return episode


def feedback_router(desk: FeedbackDesk) -> APIRouter:
    """The endpoints."""
    router = APIRouter(prefix="/v1/anomalies/episodes", tags=["anomalies"], dependencies=[BEARER])

    @router.get(_PATH, response_model=Page[VerdictItem], responses=_ERRORS)
    def list_feedback(request: Request, episode_id: EpisodeId) -> Response:
        """Everything that was said of an episode, oldest first; the last word counts."""
        caller = desk.gate.admit(request.headers, READERS)
        desk.find(caller, episode_id)
        return Response(as_page(history(desk.operations, episode_id), None), media_type=JSON)

    @router.post(_PATH, status_code=201, response_model=VerdictItem, responses=_ERRORS)
    def give_feedback(request: Request, episode_id: EpisodeId, body: VerdictBody) -> Response:
        """Say whether an episode was real; the next training and evaluation go by it."""
        caller = desk.gate.admit(request.headers, OPERATORS)
        said: dict[str, Any] = {
            "is_real": body.is_real,
            "note": body.note,
            "said_by": caller.name,
            "said_at_utc": desk.now(),
        }
        verdict = Verdict(**desk.find(caller, episode_id), **said)
        acknowledge(desk.operations, verdict)
        return answered(asdict(verdict), 201)

    return router
