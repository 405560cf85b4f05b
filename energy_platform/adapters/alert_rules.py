"""Finds and reads alert rules: the built-in ones, and the user's own on top of them; again when a file changes.

Belongs here: which files there are, and when one was changed. Does not belong here: yml (yml.py), what a rule may say
(domain/alerts/rules.py, routing.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from energy_platform.adapters.yml import YmlFile, read_yml
from energy_platform.domain.alerts.routing import Routing
from energy_platform.domain.alerts.rules import RULE, Rule, StreamRule, ThresholdRule, VoltageSpikeRule
from energy_platform.domain.errors import AlertRuleInvalid

logger = logging.getLogger(__name__)

BUILT_IN = Path(__file__).resolve().parent.parent / "alerts"
LOOK_AGAIN_SECONDS = 1.0
PARTS = ("rules", "routing")
_ROUTING = TypeAdapter(Routing)
_MEND = "Mend it; the built-in rules show every field in use."


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules that hold, by name, and who is told."""

    rules: Mapping[str, Rule]
    routing: Routing

    def of(self, *kinds: type[BaseModel]) -> Iterator[Any]:
        """The enabled rules of some kinds, by name."""
        for rule in self.rules.values():
            if rule.enabled and isinstance(rule, kinds):
                yield rule

    @property
    def stream(self) -> list[StreamRule]:
        """The enabled rules that look at samples as they come."""
        return list(self.of(ThresholdRule, VoltageSpikeRule))


def load_rules(own: Path | None = None) -> RuleSet:
    """The built-in rules, and those of the folder ``own``: a rule of the same name takes the place of the built-in one.

    Raises:
        AlertRuleInvalid: a file is not yml or does not say what it must; names file, line and remedy.
    """
    if own is not None and not own.is_dir():
        raise AlertRuleInvalid(str(own), problem="is no folder", remedy="Set ENERGY_ALERTS to a folder of *.yml files.")
    rules: dict[str, Rule] = {}
    routing = Routing()
    for folder in [BUILT_IN] if own is None else [BUILT_IN, own]:
        said_here: dict[str, Path] = {}
        routed_by: Path | None = None
        for path in sorted(folder.glob("*.yml")):
            found, who = load_file(path)
            for rule in found:
                if rule.name in said_here:
                    problem = f"rule '{rule.name}' is in {said_here[rule.name].name} already"
                    raise AlertRuleInvalid(str(path), problem=problem, remedy="Give one of them another name.")
                said_here[rule.name], rules[rule.name] = path, rule
            if who is not None:
                if routed_by is not None:
                    problem = f"routing is in {routed_by.name} already"
                    raise AlertRuleInvalid(str(path), problem=problem, remedy="Keep it in one file of the folder.")
                routing, routed_by = who, path
    return RuleSet(rules, routing)


def load_file(path: Path) -> tuple[list[Rule], Routing | None]:
    """The rules of one file, and the routing if it is there.

    Raises:
        AlertRuleInvalid: it is not yml or does not say what it must; names file, line and remedy.
    """
    file = read_yml(path, AlertRuleInvalid)
    said = file.content
    if not isinstance(said, dict) or not said or set(said) - set(PARTS):
        odd = sorted(str(name) for name in set(said) - set(PARTS)) if isinstance(said, dict) else []
        problem = f"'{odd[0]}' is no part of it" if odd else "it holds neither rules nor routing"
        raise file.wrong(problem, "Write 'rules:' (a list) or 'routing:'.", odd[:1])
    listed = said.get("rules", [])
    if not isinstance(listed, list):
        raise file.wrong("rules is no list", "Begin each rule with '- name:'.", ["rules"])
    rules: list[Rule] = [
        file.checked(RULE.validate_python, each, place=["rules", at], remedy=_MEND) for at, each in enumerate(listed)
    ]
    _no_name_twice(file, rules)
    if "routing" not in said:
        return rules, None
    return rules, file.checked(_ROUTING.validate_python, said["routing"], place=["routing"], remedy=_MEND)


@dataclass(slots=True)
class RuleBook:
    """The rules as the files say them now; a file that is wrong leaves what held before it, and says so.

    Args:
        own: folder of the user's own rules.
        clock: seconds, replaced in tests.
    """

    own: Path | None = None
    clock: Callable[[], float] = time.monotonic
    problem: str | None = None
    _known: RuleSet | None = field(default=None, repr=False)
    _stamp: tuple[tuple[str, int, int], ...] = field(default=(), repr=False)
    _looked: float = field(default=float("-inf"), repr=False)

    def current(self) -> RuleSet:
        """The rules that hold now; files are looked at once a second.

        Raises:
            AlertRuleInvalid: they are wrong, and none held before.
        """
        if self._known is not None and self.clock() - self._looked < LOOK_AGAIN_SECONDS:
            return self._known
        self._looked, stamp = self.clock(), self._stamp_of_files()
        if self._known is not None and stamp == self._stamp:
            return self._known
        try:
            self._known = load_rules(self.own)
        except AlertRuleInvalid as error:
            if self._known is None:
                raise
            if self.problem != str(error):
                logger.warning("the changed rules are not used: %s", error)
            self.problem = str(error)
        else:
            self.problem = None
        self._stamp = stamp
        return self._known

    def _stamp_of_files(self) -> tuple[tuple[str, int, int], ...]:
        folders = [BUILT_IN] if self.own is None else [BUILT_IN, self.own]
        paths = [path for folder in folders for path in sorted(folder.glob("*.yml"))]
        stats = [(path, path.stat()) for path in paths]
        return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in stats)


def _no_name_twice(file: YmlFile, rules: Sequence[Rule]) -> None:
    names = [rule.name for rule in rules]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise file.wrong(f"rule '{name}' stands twice", "Give one of them another name.", ["rules", at, "name"])
