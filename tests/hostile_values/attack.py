"""Attacks on a chart's values, and what becomes of each.

Many places are attacked in one render, each with a word of its own by which its text is found again. Where it cannot be
told whose text made something, these places are tried in smaller groups, at last alone.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import jsonschema

from pdshub.reconcile.hub.manifest.rules import judge_rendered
from pdshub.render.merge import merge
from pdshub.render.values import template_trouble
from tests.hostile_values.charts import KINDS, NAMES, HubChart
from tests.hostile_values.payloads import MARK, PAYLOADS, PROBE, RAN
from tests.hostile_values.places import Json, Place, places, put, schema_at
from tests.hostile_values.rendering import chunks, foreign, rendered

HELMS = 2
"""Runs of helm at the same time."""


class Outcome(StrEnum):
    """What became of an attack."""

    OPERATOR = "refused by the operator, unread"
    SCHEMA = "refused by the chart's schema"
    HELM = "refused by helm"
    LOOK = "refused by the look at what helm would apply"
    DATA = "stays a text"
    UNUSED = "printed nowhere, or in base64"
    ESCAPED = "became something else"


@dataclass(frozen=True)
class Case:
    """One attack; ``word`` marks its text."""

    place: Place
    payload: str
    word: str

    @property
    def text(self) -> str:
        """What is put into the place."""
        return (PROBE if self.payload == "probe" else PAYLOADS[self.payload]).replace(MARK, self.word)


@dataclass
class Report:
    """Every attack on a chart with its outcome, and what was learned of its places."""

    chart: str
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    """By place and payload."""
    unquoted: list[Place] = field(default_factory=list)
    """Places whose text stands in the manifest without quotes."""
    renders: int = 0

    @property
    def counts(self) -> Counter[Outcome]:
        """How many attacks ended in which way."""
        return Counter(self.outcomes.values())

    @property
    def escaped(self) -> list[str]:
        """Attacks that became what they must not."""
        return [": ".join(key) for key, how in self.outcomes.items() if how is Outcome.ESCAPED]

    @property
    def line(self) -> str:
        """The report in one line."""
        said = ", ".join(f"{how} {self.counts[how]}" for how in Outcome if self.counts[how])
        where = len({place for place, _ in self.outcomes})
        return f"{self.chart}: {len(self.outcomes)} attacks in {where} places ({self.renders} renders): {said}"


class Attack:
    """All attacks on one chart."""

    def __init__(self, chart: HubChart) -> None:
        self.chart, self.report = chart, Report(chart.name)
        self.places = places(chart.schema)
        self._validator = jsonschema.Draft7Validator(chart.schema)
        self._taken: dict[Place, bool] = {}
        self._where: dict[Place, frozenset[int]] = {}

    def all(self) -> Report:
        """Every payload in every place of the schema."""
        plain = rendered(self.chart, self.chart.values)
        assert plain.returncode == 0, plain.stderr
        assert (found := judge_rendered(plain.stdout, NAMES, self.chart.values, KINDS)) is None, found
        assert not foreign(plain.stdout)
        self._probe()
        for payload in PAYLOADS:
            cases = [Case(place, payload, f"evil{number}z") for number, place in enumerate(self.places)]
            self._try(cases)
        return self.report

    def _probe(self) -> None:
        """Where each place's text comes out, and whether without quotes."""
        quoted = r"[\"'] "
        for case, text in self._solved([Case(p, "probe", f"probe{n}z") for n, p in enumerate(self.places)]).items():
            word, place = case.word, case.place
            self._where[place] = frozenset(n for n, chunk in enumerate(chunks(text)) if word in chunk)
            if len(re.findall(word, text)) > len(re.findall(quoted + word, text)):
                self.report.unquoted.append(place)

    def _solved(self, cases: Sequence[Case]) -> dict[Case, str]:
        """What helm makes of each case; those that it refuses are left out. In groups, halved."""
        found: dict[Case, str] = {}
        waiting = self._rounds([case for case in cases if self._fits(case)])
        while waiting:
            with ThreadPoolExecutor(HELMS) as pool:
                done = list(pool.map(self._render, waiting))
            after: list[list[Case]] = []
            for group, run in zip(waiting, done, strict=True):
                if run.returncode == 0:
                    found |= dict.fromkeys(group, run.stdout)
                elif len(group) > 1:
                    after += _halves(group)
            waiting = after
        return found

    def _try(self, cases: Sequence[Case]) -> None:
        """The outcome of each case."""
        waiting: list[list[Case]] = []
        quiet, loud, alone = [], [], []
        for case in cases:
            if "{{" in case.text and template_trouble(self._values([case])):
                self._end(case, Outcome.OPERATOR)
            elif not self._fits(case):
                # helm says so itself once for each place, then its schema is asked here
                alone.append(case) if case.payload == "an object" else self._end(case, Outcome.SCHEMA)
            elif case.place in self.report.unquoted or case.place not in self._where:
                loud.append(case)
            else:
                quiet.append(case)
        waiting = [*self._rounds(quiet), *self._apart(loud), *([case] for case in alone)]
        while waiting:
            with ThreadPoolExecutor(HELMS) as pool:
                done = list(pool.map(self._render, waiting))
            after: list[list[Case]] = []
            unclear: list[Case] = []
            for group, run in zip(waiting, done, strict=True):
                if run.returncode and len(group) == 1:
                    schema = "meet the specifications of the schema" in run.stderr
                    self._end(group[0], Outcome.SCHEMA if schema else Outcome.HELM)
                elif run.returncode:
                    after += _halves(group)
                else:
                    left = self._read(group, run.stdout)
                    if len(left) == len(group):
                        after += _halves(group)
                    else:
                        unclear += left
            waiting = [*after, *self._apart(unclear)]

    def _read(self, group: Sequence[Case], text: str) -> list[Case]:
        """Say what became of the cases of one render; returns those of which it cannot be told."""
        values = self._values(group)
        parts = chunks(text)
        refused = {n for n, part in enumerate(parts) if judge_rendered(part, NAMES, values, KINDS) is not None}
        whole = judge_rendered(text, NAMES, values, KINDS) is not None
        if len(group) == 1:
            self._end(group[0], self._alone(group[0], text, whole))
            return []
        held = {case: {n for n, part in enumerate(parts) if case.word in part} for case in group}
        owners = Counter(n for found in held.values() for n in found)
        if whole != bool(refused) or any(owners[n] == 0 for n in refused):
            return list(group)
        left = []
        for case, found in held.items():
            if any(owners[n] > 1 for n in found & refused):
                left.append(case)
            elif found & refused:
                self._end(case, Outcome.LOOK)
            else:
                self._end(case, self._alone(case, "\n---\n".join(parts[n] for n in sorted(found)), False))
        return left

    @staticmethod
    def _alone(case: Case, text: str, refused: bool) -> Outcome:
        if refused:
            return Outcome.LOOK
        if RAN + case.word in text or foreign(text):
            return Outcome.ESCAPED
        return Outcome.DATA if case.word in text else Outcome.UNUSED

    def _end(self, case: Case, outcome: Outcome) -> None:
        self.report.outcomes[case.place.title, case.payload] = outcome

    def _values(self, group: Sequence[Case]) -> Json:
        return put(self.chart.base(group[0].place.path), *((case.place, case.text) for case in group))

    def _render(self, group: Sequence[Case]) -> subprocess.CompletedProcess[str]:
        self.report.renders += 1
        return rendered(self.chart, self._values(group))

    def _fits(self, case: Case) -> bool:
        """Whether the schema takes a text like this, without asking helm."""
        if case.place not in self._taken:
            value: Any = merge(self.chart.defaults, self._values([case]))
            for key in case.place.path:
                value = value[key]
            schema = schema_at(self.chart.schema, case.place.path)
            self._taken[case.place] = self._validator.evolve(schema=schema).is_valid(value)
        return self._taken[case.place]

    def _rounds(self, cases: Iterable[Case]) -> list[list[Case]]:
        """Groups of cases that may be in the same values."""
        return self._grouped(cases, lambda case: {case.place.path})

    def _apart(self, cases: Iterable[Case]) -> list[list[Case]]:
        """The same, none of which comes out in the document of another."""
        return self._grouped(cases, lambda case: {case.place.path, *self._where.get(case.place, ("nowhere",))})

    def _grouped(self, cases: Iterable[Case], claims: Any) -> list[list[Case]]:
        groups: list[tuple[list[Case], set[Any], Json]] = []
        for case in cases:
            wants, base = claims(case), self.chart.base(case.place.path)
            for group, taken, of in groups:
                if of is base and not wants & taken:
                    group.append(case)
                    taken |= wants
                    break
            else:
                groups.append(([case], set(wants), base))
        return [group for group, _, _ in groups]


def _halves(group: Sequence[Case]) -> list[list[Case]]:
    half = len(group) // 2
    return [list(group[:half]), list(group[half:])]
