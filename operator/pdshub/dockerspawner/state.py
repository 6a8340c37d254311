"""What a configuration has assigned so far, and the doubts about it: names, traits, lines that are not understood."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from pdshub.dockerspawner import fold_calls, parsed
from pdshub.dockerspawner.fold import Scope, trait_of
from pdshub.dockerspawner.parsed import Line
from pdshub.dockerspawner.settings import Assignment, Config
from pdshub.dockerspawner.values import MOST, Unknown, absent, known, weight, why

ADDING = ("append", "add", "extend", "update", "insert", "setdefault")
"""Methods of lists, sets and dicts that add to them."""
CHANGING = (*ADDING, "remove", "discard", "pop", "clear", "sort", "difference_update", "intersection_update")


class State:
    """Values of names and traits, changed from top to bottom."""

    def __init__(self, made: Config, lines: parsed.Source, environment: dict[str, str]) -> None:
        self.made, self.lines = made, lines
        self.values: dict[tuple[str, str], Any] = {}
        self.counting = True
        self.listed = set[int]()
        self.scope = Scope(environment, called=fold_calls.called, traits=self.trait)
        self.scope.imports.update(os="os")  # what the file does not import fails when it runs: not here

    def every(self, node: ast.AST) -> Iterator[ast.AST]:
        """All of a part of the file. It counts as work, since a loop may ask for it again and again."""
        for each in ast.walk(node):
            self.scope.steps += 1
            yield each

    def not_read(self, statement: ast.AST, reason: str) -> None:
        """Lists a statement with all that is in it; it is counted already, and what is in it is not."""
        number = getattr(statement, "lineno", 0)
        inside = sum(isinstance(each, ast.stmt) for each in self.every(statement))
        if self.counting:
            self.made.statements += inside - 1
        if number not in self.listed:
            self.listed.add(number)
            self.made.unread.append(Line(number, self.lines.shown(statement), reason, inside))

    def not_followed(self, statement: ast.stmt, reason: str) -> None:
        """Lists a statement, and doubts what it changes: a value that it may have changed is none that is known."""
        self.not_read(statement, reason)
        doubt = Unknown(f"line {statement.lineno} may change it: {reason}")
        for each in self.every(statement):
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                self.scope.names[each.id] = doubt
            elif isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store) and (trait := trait_of(each)):
                self.values[trait] = doubt
                self.made.assignments.append(Assignment(*trait, doubt, each.lineno))
            elif isinstance(each, ast.Subscript) and isinstance(each.ctx, ast.Store):
                self.doubted(each.value, doubt)
            elif isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in CHANGING:
                self.doubted(each.func.value, doubt)

    def doubted(self, target: ast.expr, doubt: Unknown) -> None:
        """Puts a doubt into the list or dict itself, so that whatever else leads to it has it as well."""
        held = self.mutable(target, None)
        if isinstance(held, list):
            held.append(doubt)
        elif isinstance(held, dict):
            held[doubt] = doubt
        elif held is None and (trait := trait_of(target)):
            self.values[trait] = doubt
            self.made.assignments.append(Assignment(*trait, doubt, target.lineno))

    def note(self, statement: ast.AST, words: str) -> None:
        """What is to be said of a statement that was understood."""
        self.made.notes.append(Line(getattr(statement, "lineno", 0), self.lines.shown(statement), words))

    def store(self, target: ast.expr, value: Any, statement: ast.stmt, condition: str) -> None:
        """Gives a value to a name, a trait, an entry, or to each of several."""
        if isinstance(target, ast.Name):
            unconditional = value if not condition else Unknown(f"{target.id} depends on {condition}")
            self.scope.names[target.id] = unconditional
            if target.id != "c":
                self.judged(statement, value)
        elif isinstance(target, ast.Tuple | ast.List):
            parts = value if isinstance(value, list) and len(value) == len(target.elts) else None
            for number, each in enumerate(target.elts):
                self.store(each, parts[number] if parts else Unknown(why(value) or "no list"), statement, condition)
        elif trait := trait_of(target):
            self._set(trait, value, statement, condition)
        elif isinstance(target, ast.Subscript):
            self._store_item(target, value, statement, condition)
        else:
            self.not_read(statement, "what is assigned to is no trait and no name")

    def _store_item(self, target: ast.Subscript, value: Any, statement: ast.stmt, condition: str) -> None:
        key = self.scope.fold(target.slice)
        if self.scope.dotted(target.value) == "os.environ" and isinstance(key, str) and isinstance(value, str):
            self.scope.environment[key] = value
            return
        held = self.mutable(target.value, {})
        if not isinstance(held, dict) or not isinstance(key, str | int) or condition:
            self.not_read(statement, why(held) or why(key) or "an entry of this can not be followed")
            self.doubted(target.value, Unknown(f"line {statement.lineno} may change it"))
        elif weight(held) + weight(value) > MOST:
            self.not_read(statement, "a value is too large")
        else:
            held[key] = _copy(value)
            self._changed(target.value, held, statement, value)

    def added(self, target: ast.expr, held: Any, value: Any, statement: ast.stmt) -> None:
        """Adds copies of values to the list or dict that a target is: ``held``."""
        if weight(held) + weight(value) > MOST:
            self.not_read(statement, "a value is too large")
            return
        if isinstance(held, list):
            held += [_copy(each) for each in value]
        else:
            held.update({key: _copy(each) for key, each in value.items()})
        self._changed(target, held, statement, value)

    def mutable(self, target: ast.expr, empty: Any) -> Any:
        """The list or dict that a target is: that of a trait which nobody set is empty."""
        trait = trait_of(target)
        if trait and trait not in self.values:
            return empty
        return self.scope.fold(target)

    def _changed(self, target: ast.expr, held: Any, statement: ast.stmt, value: Any) -> None:
        if trait := trait_of(target):
            self.values[trait] = held
            self.made.assignments.append(Assignment(*trait, held, statement.lineno))
        self.judged(statement, value)

    def _set(self, trait: tuple[str, str], value: Any, statement: ast.stmt, condition: str) -> None:
        self.made.assignments.append(Assignment(*trait, value, statement.lineno, condition))
        if not condition:
            self.values[trait] = value
        if condition and known(value):
            self.not_read(statement, f"it depends on {condition}")
        else:
            self.judged(statement, value)

    def judged(self, statement: ast.stmt, value: Any) -> None:
        """Lists a statement whose value is not known, unless it is only the file that has it which is missing."""
        if not absent(value):
            self.not_read(statement, why(value))

    def trait(self, owner: str, name: str) -> Any:
        """The value of a trait so far."""
        return self.values.get((owner, name), Unknown(f"c.{owner}.{name} is not set above"))


def _copy(value: Any) -> Any:
    if isinstance(value, list):
        return [_copy(each) for each in value]
    return {key: _copy(each) for key, each in value.items()} if isinstance(value, dict) else value
