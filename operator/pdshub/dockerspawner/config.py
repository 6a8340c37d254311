"""``jupyterhub_config.py``, read without being run: what it assigns, and every line that is not understood.

The file is parsed; constants are folded (``fold``), names and traits are followed from top to bottom. What depends on
something unknown is kept as a condition; what is code is counted and named, line by line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

from pdshub.dockerspawner import parsed
from pdshub.dockerspawner.fold import STEPS
from pdshub.dockerspawner.listed import Listed
from pdshub.dockerspawner.lists import Names
from pdshub.dockerspawner.parsed import Line
from pdshub.dockerspawner.settings import Config
from pdshub.dockerspawner.state import ADDING
from pdshub.dockerspawner.values import Reference, Unknown, known, why

STATEMENTS, ROUNDS = 20_000, 500
"""Statements that are followed, and rounds of one loop."""
_OF_PEOPLE = re.compile(r"user|allow|white|admin|people", re.IGNORECASE)
_HARMLESS = ("print", "get_config", "logging", "warnings", "sys.path", "dotenv", "load_dotenv", "nest_asyncio")


def read(
    text: str,
    file: str = "jupyterhub_config.py",
    environment: Mapping[str, str] | None = None,
    names_of: Callable[[str], tuple[str, Names] | None] = lambda path: None,
    dotenv: Mapping[str, str] | None = None,
) -> Config:
    """What a configuration says. Raises SourceError where it is no Python.

    ``environment``: that of the hub's container; ``dotenv``: what ``load_dotenv`` adds. ``names_of``: name and content
    of the list of names that the container sees at a path; None where there is none.
    """
    made = Config(file)
    module, lines, notes = parsed.parse(text)
    made.notes += notes
    walker = _Walker(made, lines, dict(environment or {}), names_of, dict(dotenv or {}))
    walker.block(module.body, "")
    for name, function in walker.functions.items():
        if name not in walker.used:
            walker.not_read(function, f"function {name} was not run")
    made.unset = list(walker.scope.unset)
    made.unread.sort(key=lambda line: line.number)
    return made


class _Walker(Listed):
    def __init__(
        self,
        made: Config,
        lines: parsed.Source,
        environment: dict[str, str],
        names_of: Callable[[str], tuple[str, Names] | None],
        dotenv: dict[str, str],
    ) -> None:
        super().__init__(made, lines, environment, names_of)
        self.dotenv = dotenv
        self.inside: list[str] = []
        self.functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        self.used: set[str] = set()
        self.followed = 0
        self.stopped = False
        self.scope.function = self._function

    # statements

    def block(self, body: list[ast.stmt], condition: str) -> None:
        for statement in body:
            self.followed += 1
            if self.followed > STATEMENTS or self.scope.steps > STEPS:
                if not self.stopped:
                    self.stopped = True
                    self.made.unread.append(Line(statement.lineno, "", "the file is too long to be followed"))
                return
            self.made.statements += self.counting
            depends = self.lines.conditions.get(statement.lineno, "")
            given = condition if depends in condition else " and ".join(filter(None, (condition, depends)))
            handler = getattr(self, f"_{type(statement).__name__.lower()}", None)
            if handler is None:
                self.not_followed(statement, f"{type(statement).__name__.lower()} is not followed")
            else:
                handler(statement, given)

    def _pass(self, statement: ast.Pass, condition: str) -> None:
        return

    def _import(self, statement: ast.Import, condition: str) -> None:
        for each in statement.names:
            first = each.name.partition(".")[0]
            self.scope.imports[each.asname or first] = each.name if each.asname else first

    def _importfrom(self, statement: ast.ImportFrom, condition: str) -> None:
        for each in statement.names:
            if each.name == "*":
                self.not_read(statement, "what it imports is not known")
            else:
                self.scope.imports[each.asname or each.name] = f"{statement.module or ''}.{each.name}".lstrip(".")

    def _functiondef(self, statement: ast.FunctionDef | ast.AsyncFunctionDef, condition: str) -> None:
        self.functions[statement.name] = statement
        self.scope.names[statement.name] = Reference(f"function {statement.name}")

    _asyncfunctiondef = _functiondef

    def _classdef(self, statement: ast.ClassDef, condition: str) -> None:
        base = self.scope.fold(statement.bases[0]) if statement.bases else None
        self.made.bases[statement.name] = base.name if isinstance(base, Reference) else ""
        self.scope.names[statement.name] = Reference(statement.name)
        self.not_read(statement, f"class {statement.name} was not run")

    def _assign(self, statement: ast.Assign, condition: str) -> None:
        value = self.scope.fold(statement.value)
        of_people = any(_OF_PEOPLE.search(ast.unparse(target)) for target in statement.targets)
        if not known(value) and of_people and (found := self.opened(statement.value)):
            self.remember(found, statement)
            value = self.names_in(found)
        for target in statement.targets:
            self.store(target, value, statement, condition)

    def _annassign(self, statement: ast.AnnAssign, condition: str) -> None:
        if statement.value is not None:
            self.store(statement.target, self.scope.fold(statement.value), statement, condition)

    def _augassign(self, statement: ast.AugAssign, condition: str) -> None:
        value = self.scope.fold(statement.value)
        held = self.mutable(statement.target, {} if isinstance(value, dict) else [])
        same = type(held) is type(value)
        joins = (ast.Add, ast.BitOr) if isinstance(held, list) else (ast.BitOr,)
        if isinstance(held, list | dict) and same and isinstance(statement.op, joins) and not condition:
            self.added(statement.target, held, value, statement)
        elif isinstance(held, str | int | float) and same and isinstance(statement.op, ast.Add) and not condition:
            made = self.scope.fold(ast.BinOp(ast.Constant(held), statement.op, ast.Constant(value)))
            self.store(statement.target, made, statement, condition)
        else:
            self.not_read(statement, why(value) or why(held) or "it can not be followed")
            if isinstance(held, list | dict):
                self.doubted(statement.target, Unknown(f"line {statement.lineno} may change it"))
            elif isinstance(statement.target, ast.Name):
                self.scope.names[statement.target.id] = Unknown(f"line {statement.lineno} may change it")

    def _expr(self, statement: ast.Expr, condition: str) -> None:
        node = statement.value
        if isinstance(node, ast.Constant):
            return  # a docstring
        if isinstance(node, ast.Call):
            dotted = self.scope.dotted(node.func)
            name = dotted or (node.func.id if isinstance(node.func, ast.Name) else "")
            if name.endswith("load_dotenv"):
                self.scope.environment = {**self.dotenv, **self.scope.environment}
            if name.startswith(_HARMLESS):
                return
            if dotted == "os.environ.setdefault":
                given = [self.scope.fold(each) for each in node.args]
                if len(given) == 2 and all(isinstance(each, str) for each in given):
                    self.scope.environment.setdefault(given[0], given[1])
                    return
            if isinstance(node.func, ast.Attribute) and node.func.attr in ADDING and not condition:
                self._method(node.func, node, statement)
                return
        self.not_followed(statement, "what it calls was not run")

    def _method(self, function: ast.Attribute, node: ast.Call, statement: ast.stmt) -> None:
        """``x.append(y)`` and its like."""
        given = [self.scope.fold(each) for each in node.args]
        given += [{str(word.arg): self.scope.fold(word.value) for word in node.keywords}] if node.keywords else []
        name, value = function.attr, given[-1] if given else None
        held = self.mutable(function.value, {} if isinstance(value, dict) and name == "update" else [])
        if name in ("append", "add", "insert") and given and isinstance(held, list):
            if name != "add" or value not in held:
                self.added(function.value, held, [value], statement)
        elif name in ("extend", "update") and len(given) == 1 and type(held) is type(value):
            self.added(function.value, held, value, statement)
        else:
            self.not_read(statement, why(value) or why(held) or f"{name} can not be followed")
            self.doubted(function.value, Unknown(f"line {statement.lineno} may change it"))

    def _if(self, statement: ast.If, condition: str) -> None:
        test = self.scope.fold(statement.test)
        words = self.lines.expression(statement.test)
        if known(test):
            chosen, other = (statement.body, statement.orelse) if test else (statement.orelse, statement.body)
            self.note(statement, f"{words} is {'true' if test else 'false'} here")
            self.made.statements += self._count(other)
            self.block(chosen, condition)
            return
        self.note(statement, f"whether {words} holds is not known: {why(test)}")
        self.block(statement.body, " and ".join(filter(None, (condition, words))))
        self.block(statement.orelse, " and ".join(filter(None, (condition, f"not {words}"))))

    def _count(self, body: list[ast.stmt]) -> int:
        return sum(isinstance(each, ast.stmt) for top in body for each in ast.walk(top)) if self.counting else 0

    def _for(self, statement: ast.For, condition: str) -> None:
        over = self.scope.fold(statement.iter)
        found = self.opened(statement.iter) if not known(over) and not condition else None
        if found and self.named(statement.body, found):
            self.made.statements += self._count(statement.body)
            self.remember(found, statement)
            return
        jumps = any(isinstance(each, ast.Break | ast.Continue | ast.Return) for each in ast.walk(statement))
        simple = isinstance(statement.target, ast.Name | ast.Tuple) and not statement.orelse and not jumps
        if not isinstance(over, list | dict) or not known(over) or not simple or len(over) > ROUNDS:
            self.not_followed(statement, why(over) or "a loop that can not be followed")
            return
        counted = self.counting
        if not over:
            self.made.statements += self._count(statement.body)
        for number, each in enumerate(list(over)):
            if self.stopped:
                break
            self.counting = counted and number == 0
            self.store(statement.target, each, statement, condition)
            self.block(statement.body, condition)
        self.counting = counted

    def _try(self, statement: ast.Try, condition: str) -> None:
        self.block(statement.body, condition)
        for handler in statement.handlers:
            self.block(handler.body, " and ".join(filter(None, (condition, f"an error at line {statement.lineno}"))))
        self.block([*statement.orelse, *statement.finalbody], condition)

    def _with(self, statement: ast.With, condition: str) -> None:
        found = self.opened(statement)
        if found is None or condition or not self.named(statement.body, found):
            self.not_followed(statement, "what it reads is not known")
            return
        self.made.statements += self._count(statement.body)
        self.remember(found, statement)

    def _function(self, name: str, given: list[Any]) -> Any:
        """What a function of the file gives that does nothing but read a list of names; else None."""
        function = self.functions.get(name)
        if function is None or name in self.inside:
            return None
        arguments = [each.arg for each in function.args.args]
        defaults = [self.scope.fold(each) for each in function.args.defaults]
        values = dict(zip(reversed(arguments), reversed(defaults), strict=False)) | dict(
            zip(arguments, given, strict=False)
        )
        outer = {key: self.scope.names[key] for key in values if key in self.scope.names}
        self.scope.names.update(values)
        self.inside.append(name)
        found = self.opened(function)
        self.inside.pop()
        for key in values:
            self.scope.names.pop(key, None)
        self.scope.names.update(outer)
        if found is None:
            return None
        if name not in self.used:
            self.used.add(name)
            self.made.statements += self._count([function]) - 1
        self.remember(found, function)
        return self.names_in(found, "admin" in name.lower() and bool(found[1].admins))
