"""Who asks: a key in ``Authorization: Bearer``, whether its role and sites allow what is asked, and how often it asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from fastapi import Security
from fastapi.security import HTTPBearer

from energy_platform.adapters.operations import ApiKey, Operations
from energy_platform.adapters.operations.key_sites import sites_of
from energy_platform.domain.access import Role, Sites
from energy_platform.serving.api.limits import RateLimiter
from energy_platform.serving.api.problems import Problem

# For the OpenAPI document only: who asks is found out where the work is done, in its thread.
BEARER = Security(HTTPBearer(auto_error=False, description="A key that `energy keys create` made."))


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks."""

    key: ApiKey
    sites: Sites

    @property
    def name(self) -> str:
        """As the audit trail names them."""
        return f"key:{self.key.key_id}"

    def expect_site(self, site_id: str | None, *, what: str) -> None:
        """Nothing, when it is of a site that the key is for.

        Raises:
            Problem: 404, as if it were not there.
        """
        if not self.sites.include(site_id):
            raise Problem(404, f"no {what}")


@dataclass(frozen=True, slots=True)
class Gate:
    """What every endpoint with a key passes.

    Args:
        operations: where keys are kept.
        limiter: how often a key may ask.
    """

    operations: Operations
    limiter: RateLimiter

    def admit(self, headers: Mapping[str, str], roles: Collection[Role]) -> Caller:
        """The caller of a request.

        Raises:
            Problem: 401 without a valid key, 403 when its role is another one, 429 when it asks too often.
        """
        key = require_role(self.operations, headers, roles)
        wait_seconds = self.limiter.take(key.key_id)
        if wait_seconds > 0:
            seconds = max(1, round(wait_seconds))
            detail = f"this key asks too often; again in {seconds} s"
            raise Problem(429, detail, headers={"Retry-After": str(seconds)})
        return Caller(key, sites_of(self.operations, key.key_id))


def require_role(operations: Operations, headers: Mapping[str, str], roles: Collection[Role]) -> ApiKey:
    """The key of a request.

    Raises:
        Problem: 401 without a valid key, 403 when its role is another one.
    """
    scheme, _, text = headers.get("authorization", "").partition(" ")
    key = operations.verify_key(text.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        detail = "send `Authorization: Bearer <key>` with a valid key; `energy keys create` makes one"
        raise Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
    if key.role not in roles:
        needed = " or ".join(sorted(role.value for role in roles))
        raise Problem(403, f"this needs a key with the role {needed}; this one has {key.role.value}")
    return key
