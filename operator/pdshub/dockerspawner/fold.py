"""Constants of an expression, found in its syntax tree: nothing is executed, and what is found stays small. Pure.

What is not known becomes ``Unknown``, which says why; it may stand inside of what is known.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.dockerspawner.values import (
    DEEPEST,
    LARGEST,
    MOST,
    Reference,
    Unknown,
    known,
    once,
    together,
    weight,
    why,
    without,
)

STEPS = 500_000
"""Values of a file."""
_TEMPLATE = re.compile(r"\{\{.{0,400}?\}\}|\{%.{0,400}?%\}", re.DOTALL)
_CONSTANTS = {"os.sep": "/", "os.path.sep": "/", "os.linesep": "\n", "os.curdir": "."}
RANDOM = ("os.urandom", "secrets.token_hex", "secrets.token_bytes", "secrets.token_urlsafe", "uuid.uuid4")


@dataclass
class Scope:
    """What names mean in a file."""

    environment: dict[str, str] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    file: str = "/srv/jupyterhub/jupyterhub_config.py"
    called: Callable[[Scope, ast.Call, int], Any] = lambda scope, node, depth: Unknown("a call is not evaluated")
    """What a call gives (fold_calls.called)."""
    function: Callable[[str, list[Any]], Any] = lambda name, arguments: None
    """What a function of the file gives for arguments, where that is known without running it; else None."""
    traits: Callable[[str, str], Any] = lambda owner, name: Unknown(f"c.{owner}.{name} is not set above")
    unset: dict[str, None] = field(default_factory=dict)
    """Variables of the environment that are asked for and not set."""
    steps: int = 0

    def dotted(self, node: ast.expr) -> str:
        """The name of an attribute of something imported, else empty."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self.names:
            return ""
        return ".".join([self.imports.get(node.id, ""), *reversed(parts)]) if node.id in self.imports else ""

    def fold(self, node: ast.expr, depth: int = 0) -> Any:
        """The value of an expression."""
        self.steps += 1
        if self.steps > STEPS or depth > DEEPEST:
            return Unknown("the file is too large or too deep")
        handler = _HANDLERS.get(type(node))
        if handler is None:
            return Unknown(f"{type(node).__name__} is not evaluated")
        found = handler(self, node, depth + 1)
        heavy = weight(found)
        self.steps += heavy
        return Unknown("a value is too large") if heavy > MOST else found

    def variable(self, name: Any, default: Any, needed: bool = False) -> Any:
        """A variable of the environment."""
        if not isinstance(name, str):
            return Unknown("a variable's name is not known")
        if name in self.environment:
            return self.environment[name]
        self.unset.setdefault(name)
        return Unknown(f"variable {name} is set nowhere") if needed else default


def _constant(scope: Scope, node: ast.Constant, depth: int) -> Any:
    value = node.value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, str) and _TEMPLATE.search(value):
        return Unknown("a template fills it in")
    if isinstance(value, int | float) and not abs(value) < LARGEST:
        return Unknown("a number is too large")
    return value if isinstance(value, str | int | float | bool) or value is None else Unknown("no plain value")


def _name(scope: Scope, node: ast.Name, depth: int) -> Any:
    if node.id in scope.names:
        return scope.names[node.id]
    if node.id in scope.imports:
        return Reference(scope.imports[node.id])
    return scope.file if node.id == "__file__" else Unknown(f"{node.id} is not set above")


def _attribute(scope: Scope, node: ast.Attribute, depth: int) -> Any:
    if dotted := scope.dotted(node):
        if dotted in _CONSTANTS:
            return _CONSTANTS[dotted]
        return Reference(dotted)
    if trait := trait_of(node):
        return scope.traits(*trait)
    if node.attr in ("parent", "name") and isinstance(path := scope.fold(node.value, depth), str):
        return posixpath.dirname(path) if node.attr == "parent" else posixpath.basename(path)
    return Unknown(f"attribute {node.attr} is not evaluated")


def trait_of(node: ast.AST) -> tuple[str, str] | None:
    """Owner and name of ``c.OWNER.NAME``."""
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id == "c"
    ):
        return node.value.attr, node.attr
    return None


def _sequence(scope: Scope, node: ast.List | ast.Tuple | ast.Set, depth: int) -> Any:
    found: list[Any] = []
    for each in node.elts:
        if isinstance(each, ast.Starred):
            inside = scope.fold(each.value, depth)
            found += inside if isinstance(inside, list) else [Unknown(why(inside) or "what is unpacked is no list")]
        else:
            found.append(scope.fold(each, depth))
    return once(found) if isinstance(node, ast.Set) else found


def _dict(scope: Scope, node: ast.Dict, depth: int) -> Any:
    found: dict[Any, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        held = scope.fold(value, depth)
        if key is None:
            if not isinstance(held, dict):
                return Unknown(why(held) or "what is unpacked is no dict")
            found |= held
            continue
        name = scope.fold(key, depth)
        found[name if isinstance(name, str | int | float | Unknown | Reference) else Unknown("a key is no text")] = held
    return found


def _joined(scope: Scope, node: ast.JoinedStr, depth: int) -> Any:
    def parts() -> Iterator[Any]:
        for each in node.values:
            if isinstance(each, ast.FormattedValue) and not each.format_spec and each.conversion in (-1, 115):
                yield scope.fold(each.value, depth)
            elif isinstance(each, ast.Constant):
                yield each.value
            else:
                yield Unknown("a text is formatted in a way that is not evaluated")

    return together(parts())


def _either(scope: Scope, node: ast.BoolOp, depth: int) -> Any:
    value: Any = None
    for each in node.values:
        value = scope.fold(each, depth)
        if isinstance(value, Unknown) or bool(value) == isinstance(node.op, ast.Or):
            return value
    return value


def _binary(scope: Scope, node: ast.BinOp, depth: int) -> Any:
    left, right = scope.fold(node.left, depth), scope.fold(node.right, depth)
    for each in (left, right):
        if isinstance(each, Unknown):
            return each
    if isinstance(node.op, ast.Mod) and isinstance(left, str):
        return _percent(left, right)
    both = type(left), type(right)
    if isinstance(node.op, ast.Add) and both in ((str, str), (list, list)):
        return left + right
    if isinstance(node.op, ast.BitOr) and both == (dict, dict):
        return {**left, **right}
    if isinstance(node.op, ast.BitOr | ast.Sub) and both == (list, list):
        return once(left + right) if isinstance(node.op, ast.BitOr) else without(left, right)
    if isinstance(node.op, ast.Div) and isinstance(left, str | Reference) and isinstance(right, str):
        return posixpath.join(left, right) if isinstance(left, str) else Unknown("a path is not known")
    if all(isinstance(each, int | float) and abs(each) < 1e15 for each in (left, right)):
        return _calculated(node.op, left, right)
    return Unknown(f"{type(node.op).__name__} of these values is not evaluated")


def _calculated(operation: ast.operator, left: Any, right: Any) -> Any:
    try:
        if isinstance(operation, ast.Pow):
            return left**right if 0 <= right <= 8 and abs(left) <= 4096 else Unknown("a number is too large")
        simple: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
            ast.Add: lambda a, b: a + b,
            ast.Sub: lambda a, b: a - b,
            ast.Mult: lambda a, b: a * b,
            ast.Div: lambda a, b: a / b,
            ast.FloorDiv: lambda a, b: a // b,
        }
        made = simple.get(type(operation))
        return made(left, right) if made else Unknown(f"{type(operation).__name__} is not evaluated")
    except ArithmeticError:
        return Unknown("a number can not be calculated")


def _percent(text: str, values: Any) -> Any:
    parts, given = text.split("%s"), values if isinstance(values, list) else [values]
    if "%" in "".join(parts) or len(parts) != len(given) + 1:
        return Unknown("a text is formatted in a way that is not evaluated")
    return together([parts[0], *(each for pair in zip(given, parts[1:], strict=True) for each in pair)])


def _choice(scope: Scope, node: ast.IfExp, depth: int) -> Any:
    test = scope.fold(node.test, depth)
    return test if isinstance(test, Unknown) else scope.fold(node.body if test else node.orelse, depth)


def _not(scope: Scope, node: ast.UnaryOp, depth: int) -> Any:
    value = scope.fold(node.operand, depth)
    if isinstance(value, Unknown):
        return value
    if isinstance(node.op, ast.Not):
        return not value
    number = isinstance(node.op, ast.USub) and isinstance(value, int | float)
    return -value if number else Unknown(f"{type(node.op).__name__} is not evaluated")


def _compare(scope: Scope, node: ast.Compare, depth: int) -> Any:
    if len(node.ops) != 1:
        return Unknown("a chain of comparisons is not evaluated")
    left = scope.fold(node.left, depth)
    if scope.dotted(node.comparators[0]) == "os.environ" and isinstance(node.ops[0], ast.In | ast.NotIn):
        return (scope.variable(left, None) is not None) == isinstance(node.ops[0], ast.In)
    right = scope.fold(node.comparators[0], depth)
    if not known(left) or not known(right):
        return Unknown(why(left) or why(right))
    if isinstance(node.ops[0], ast.Eq | ast.Is):
        return left == right
    if isinstance(node.ops[0], ast.NotEq | ast.IsNot):
        return left != right
    inside = isinstance(right, list | dict) or (isinstance(right, str) and isinstance(left, str))
    if isinstance(node.ops[0], ast.In | ast.NotIn) and inside and not isinstance(left, list | dict):
        return (left in right) == isinstance(node.ops[0], ast.In)
    return Unknown(f"{type(node.ops[0]).__name__} is not evaluated")


def _item(scope: Scope, node: ast.Subscript, depth: int) -> Any:
    if scope.dotted(node.value) == "os.environ":
        return scope.variable(scope.fold(node.slice, depth), None, needed=True)
    value, key = scope.fold(node.value, depth), scope.fold(node.slice, depth)
    try:
        if isinstance(value, dict) or (isinstance(value, list | str) and isinstance(key, int)):
            return value[key]
    except (LookupError, TypeError):
        return Unknown("there is no such entry")
    return Unknown(why(value) or why(key) or "an entry of this is not evaluated")


def _listed(scope: Scope, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, depth: int) -> Any:
    rule = node.generators[0]
    if len(node.generators) > 1 or not isinstance(rule.target, ast.Name):
        return Unknown("a list is made in a way that is not evaluated")
    over = scope.fold(rule.iter, depth)
    if not isinstance(over, list | dict):
        return Unknown(why(over) or "what a list is made of is no list")
    name, found = rule.target.id, list[Any]()
    outer = scope.names.get(name, scope)
    for each in over:
        scope.names[name] = each
        tests = [scope.fold(test, depth) for test in rule.ifs]
        if any(isinstance(test, Unknown) for test in tests):
            found = [next(test for test in tests if isinstance(test, Unknown))]
            break
        if all(tests):
            found.append(scope.fold(node.elt, depth))
    if outer is scope:
        scope.names.pop(name, None)
    else:
        scope.names[name] = outer
    return once(found) if isinstance(node, ast.SetComp) else found


def _called(scope: Scope, node: ast.Call, depth: int) -> Any:
    return scope.called(scope, node, depth)


_HANDLERS: Mapping[type[ast.expr], Callable[[Scope, Any, int], Any]] = {
    ast.Constant: _constant, ast.Name: _name, ast.Attribute: _attribute, ast.List: _sequence, ast.Tuple: _sequence,
    ast.Set: _sequence, ast.Dict: _dict, ast.JoinedStr: _joined, ast.BoolOp: _either, ast.BinOp: _binary,
    ast.IfExp: _choice, ast.UnaryOp: _not, ast.Compare: _compare, ast.Subscript: _item, ast.ListComp: _listed,
    ast.SetComp: _listed, ast.GeneratorExp: _listed, ast.Call: _called,
}  # fmt: skip
