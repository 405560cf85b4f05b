"""Who asks: a key in ``Authorization: Bearer``, and whether its role allows what is asked."""

from __future__ import annotations

from collections.abc import Mapping

from energy_platform.adapters.operations import ApiKey, Operations
from energy_platform.domain.access import Role
from energy_platform.serving.api.problems import Problem


def require_role(operations: Operations, headers: Mapping[str, str], role: Role) -> ApiKey:
    """The key of a request.

    Raises:
        Problem: 401 without a valid key, 403 when its role is another one.
    """
    scheme, _, text = headers.get("authorization", "").partition(" ")
    key = operations.verify_key(text.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        detail = "send `Authorization: Bearer <key>` with a valid key; `energy keys create` makes one"
        raise Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
    if key.role is not role:
        raise Problem(403, f"this needs a key with the role {role.value}; this one has {key.role.value}")
    return key
