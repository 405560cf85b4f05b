"""Messages in words: one Jinja template a family of channels, and one for its digest.

The first line of a rendered template is the title, what follows an empty line the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).resolve().parent / "templates"


def render(family: str, kind: str, content: Mapping[str, Any]) -> tuple[str, str]:
    """Title and body of a message.

    Args:
        family: ``mail``, ``slack``, ``text`` or ``webhook``.
        kind: ``digest``, or what happened to an alert.
        content: what the template is filled with.
    """
    name = f"{family}_digest.j2" if kind == "digest" else f"{family}.j2"
    text = _environment().get_template(name).render(kind=kind, **content)
    title, _, body = text.strip().partition("\n")
    return title.strip(), body.strip()


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(  # noqa: S701  none of these is HTML; Slack's markup is escaped by its template
        loader=jinja2.FileSystemLoader(FOLDER),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
