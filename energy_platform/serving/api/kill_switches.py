"""``/v1/kill-switches``: stopping all control of a site, or of every site.

Belongs here: parameters and answers. Does not belong here: what a thrown switch stops (domain/control/guard.py).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from energy_platform.adapters.operations.devices import kill_switches, release_kill_switch, throw_kill_switch
from energy_platform.domain.access import OPERATORS, READERS
from energy_platform.domain.control.guard import EVERYWHERE
from energy_platform.serving.api.answers import answered
from energy_platform.serving.api.auth import BEARER, Caller
from energy_platform.serving.api.devices import DeviceDesk
from energy_platform.serving.api.models import KillSwitchBody, KillSwitchItem
from energy_platform.serving.api.problems import Problem, documented

Scope = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Reason = Annotated[str, Query(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]


def kill_switches_router(desk: DeviceDesk) -> APIRouter:
    """The endpoints."""
    router = APIRouter(prefix="/v1/kill-switches", tags=["devices"], dependencies=[BEARER])

    @router.get("", response_model=list[KillSwitchItem], responses=documented(401, 403, 429))
    def thrown(request: Request) -> Response:
        """The kill switches that are thrown; that of every site is shown to all."""
        caller = desk.gate.admit(request.headers, READERS)
        found = kill_switches(desk.operations).items()
        shown = [(scope, why) for scope, why in found if scope == EVERYWHERE or caller.sites.include(scope)]
        return answered([{"scope": scope, "reason": why} for scope, why in sorted(shown)])

    @router.post("", response_model=KillSwitchItem, responses=documented(400, 401, 403, 411, 413, 422, 429))
    def throw(request: Request, body: KillSwitchBody) -> Response:
        """Stop all control: nothing is sent any more, not even a shut-off. Throwing it again keeps the first reason."""
        caller = desk.gate.admit(request.headers, OPERATORS)
        _expect_scope(caller, body.scope)
        throw_kill_switch(desk.operations, body.scope, reason=body.reason, actor=caller.name, now_utc=desk.now())
        return answered({"scope": body.scope, "reason": kill_switches(desk.operations).get(body.scope, body.reason)})

    @router.delete("/{scope}", status_code=204, responses=documented(401, 403, 404, 422, 429))
    def release(request: Request, scope: Scope, reason: Reason) -> Response:
        """Let control work again."""
        caller = desk.gate.admit(request.headers, OPERATORS)
        _expect_scope(caller, scope)
        now_utc = desk.now()
        if not release_kill_switch(desk.operations, scope, reason=reason, actor=caller.name, now_utc=now_utc):
            raise Problem(404, "this kill switch is not thrown")
        return Response(status_code=204)

    return router


def _expect_scope(caller: Caller, scope: str) -> None:
    allowed = caller.sites.only is None if scope == EVERYWHERE else caller.sites.include(scope)
    if not allowed:
        raise Problem(403, f"this key is for other sites than {scope}")
