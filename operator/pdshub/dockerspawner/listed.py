"""Lists of names in files of their own: where a configuration opens one, and what it makes of it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from pdshub.dockerspawner import parsed
from pdshub.dockerspawner.lists import Names
from pdshub.dockerspawner.settings import Config
from pdshub.dockerspawner.state import State
from pdshub.dockerspawner.values import Absent, without


class Listed(State):
    """What a configuration has assigned so far, and the lists of names that it opens."""

    def __init__(
        self,
        made: Config,
        lines: parsed.Source,
        environment: dict[str, str],
        names_of: Callable[[str], tuple[str, Names] | None],
    ) -> None:
        super().__init__(made, lines, environment)
        self.names_of = names_of

    def opened(self, node: ast.AST) -> tuple[str, Names] | None:
        """The one list of names that is opened in a part of the file."""
        paths = []
        for each in self.every(node):
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "open" and each.args:
                paths.append(self.scope.fold(each.args[0]))
            elif (
                isinstance(each, ast.Call)
                and isinstance(each.func, ast.Attribute)
                and each.func.attr in ("read_text", "open")
                and not self.scope.dotted(each.func)
            ):
                paths.append(self.scope.fold(each.func.value))
        known_paths = [path for path in paths if isinstance(path, str)]
        return self.names_of(known_paths[0]) if len(set(known_paths)) == 1 and len(paths) == len(known_paths) else None

    def names_in(self, found: tuple[str, Names], admins: bool = False) -> list[Any]:
        """The names of a list, or why they are not known."""
        if found[1].absent:
            return [Absent(f"the names are in {found[0]}, which is not among the files that were read")]
        return list(found[1].admins if admins else found[1].names)

    def remember(self, found: tuple[str, Names], statement: ast.AST) -> None:
        """Keeps that a list was read, and whom it marks as admins."""
        if found[1].absent:
            self.note(statement, f"reads names from {found[0]}, which is not among the files that were read")
        elif found[0] not in self.made.lists:
            self.made.lists.append(found[0])
            self.made.listed_admins += found[1].admins
            self.note(
                statement, f"{found[0]} was read as a list of {len(found[1].names)} names: look whether that is so"
            )

    def named(self, body: list[ast.stmt], found: tuple[str, Names], admins: bool = False) -> bool:
        """Gives the names of a file to what is filled in the loop over it; false where nothing is."""
        filled = False
        for statement in body:
            if (
                isinstance(statement, ast.Assign)
                and len(statement.targets) == 1
                and not isinstance(statement.value, ast.Constant)
                and isinstance(statement.targets[0], ast.Name | ast.Attribute)
                and self._whole(statement.value)
            ):
                self.store(statement.targets[0], self.names_in(found), statement, "")
                filled = True
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                function = statement.value.func
                if isinstance(function, ast.Attribute) and function.attr in ("add", "append", "extend", "update"):
                    held = self.mutable(function.value, [])
                    if isinstance(held, list):
                        self.added(function.value, held, without(self.names_in(found, admins), held), statement)
                        filled = True
            elif isinstance(statement, ast.If):
                marked = admins or "admin" in ast.unparse(statement.test).lower()
                filled |= self.named(statement.body, found, marked) | self.named(statement.orelse, found, admins)
            elif isinstance(statement, ast.For | ast.With):
                filled |= self.named(statement.body, found, admins)
        return filled

    def _whole(self, value: ast.expr) -> bool:
        """Whether an expression makes a list of a whole file."""
        if isinstance(value, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            return True
        words = {each.attr for each in ast.walk(value) if isinstance(each, ast.Attribute)}
        calls = {
            each.func.id for each in ast.walk(value) if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
        }
        return bool(words & {"splitlines", "readlines", "load"} or {"set", "list"} & calls)
