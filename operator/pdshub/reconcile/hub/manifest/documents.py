"""The documents of a rendered chart: YAML that an attacker may have written parts of, read within bounds.

Helm, kubectl and YAML itself do not split a stream alike. What they could read in different ways is refused here, so
that what is judged is what is applied. Source: Helm 3, pkg/releaseutil (SplitManifests); Kubernetes apimachinery,
pkg/util/yaml (splitYAMLDocument cuts at a line that begins with three dashes, whatever follows).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

LONGEST = 4 << 20
"""Characters of all documents together; those of a hub chart have some 60 000, and etcd keeps 1.5 MB of values."""
MANY = 200
"""Documents; a hub chart has about thirty."""
DEEP = 64
"""Levels of maps and lists inside each other."""
_NODES = 200_000
"""Values of all documents together."""

_CUT = re.compile(r"^---", re.MULTILINE)
_SOURCE = re.compile(r"^# Source: (\S+)\s*$", re.MULTILINE)
_BREAKS = re.compile("[\x85\u2028\u2029]|\r(?!\n)")
"""What YAML takes for the end of a line, and the others do not."""
_EXACT = {word.lower(): word for word in ("apiVersion", "kind", "metadata", "items", "spec")}
"""Keys that programs written in Go also find in another case."""


class ManifestError(ValueError):
    """A text that is no plain stream of Kubernetes objects; the message says why. ``source`` is the chart's file."""

    def __init__(self, message: str, source: str = "") -> None:
        super().__init__(message)
        self.source = source


@dataclass(frozen=True)
class Document:
    """One object as the chart rendered it."""

    source: str
    """The chart's file that made it, as Helm names it; empty when it does not say."""
    text: str
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """apiVersion and kind, as ``apps/v1 Deployment``."""
        return f"{self.body.get('apiVersion')} {self.body.get('kind')}"

    @property
    def name(self) -> str:
        """metadata.name; empty when it has none."""
        return str(self.metadata.get("name") or "")

    @property
    def metadata(self) -> Mapping[str, Any]:
        """metadata, empty when it has none."""
        found = self.body.get("metadata")
        return found if isinstance(found, Mapping) else {}

    @property
    def title(self) -> str:
        """Kind and name in a person's words."""
        return f"{self.body.get('kind')} {self.name or 'without a name'}"


class _Loader(yaml.CSafeLoader):
    """Scalars as sigs.k8s.io/yaml reads them: no dates, no numbers to the base of 60."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$", list("yYnNtTfFoO")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", list("-+0123456789.")),
    ("merge", r"^<<$", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)

_PLAIN = {f"tag:yaml.org,2002:{tag}" for tag in ("null", "bool", "int", "float", "str", "map", "seq")}


def documents(text: str) -> tuple[Document, ...]:
    """The objects of a rendered chart, without those that are empty. Raises ManifestError."""
    if len(text) > LONGEST:
        raise ManifestError(f"what the chart makes is longer than {LONGEST >> 20} MiB")
    if _BREAKS.search(text):
        raise ManifestError("what the chart makes holds an end of line that is none everywhere")
    found: list[Document] = []
    budget = [_NODES]
    source = ""
    for chunk in _chunks(text):
        if named := _SOURCE.search(chunk):
            source = named[1]
        body = _read(chunk, source, budget)
        if body is None:
            continue
        if len(found) == MANY:
            raise ManifestError(f"the chart makes more than {MANY} objects", source)
        found.append(Document(source, chunk, body))
    return tuple(found)


def _chunks(text: str) -> Iterator[str]:
    """The text between lines that begin with three dashes. Raises ManifestError for what else stands on such a line."""
    begin = 0
    for cut in _CUT.finditer(text):
        yield text[begin : cut.start()]
        end = text.find("\n", cut.end())
        begin = len(text) if end < 0 else end + 1
        rest = text[cut.end() : begin].strip()
        if rest and not rest.startswith("#"):
            raise ManifestError("a line begins with --- and goes on")
    yield text[begin:]


def _read(chunk: str, source: str, budget: list[int]) -> Mapping[str, Any] | None:
    """The object of one document, None for one that holds nothing. Raises ManifestError."""
    try:
        depth = 0
        for event in yaml.parse(chunk, Loader=_Loader):
            budget[0] -= 1
            # before anything is composed, which calls itself for each level
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEP:
                raise ManifestError(f"it is nested more than {DEEP} times", source)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise ManifestError("it holds an anchor or an alias", source)
            if budget[0] < 0:
                raise ManifestError(f"what the chart makes holds more than {_NODES} values", source)
        nodes = [node for node in yaml.compose_all(chunk, Loader=_Loader) if node is not None]
    except yaml.YAMLError as error:
        raise ManifestError(f"it is no YAML: {str(error).splitlines()[0]}", source) from error
    if len(nodes) > 1:
        raise ManifestError("it hides a second document", source)
    body = _value(nodes[0], source) if nodes else None
    if body is None:
        return None
    if not isinstance(body, dict):
        raise ManifestError("it is no object", source)
    for where in (body, body.get("metadata")):
        for key in where if isinstance(where, dict) else ():
            if _EXACT.get(key.lower(), key) != key:
                raise ManifestError(f"it has the field {key!r}", source)
    return body


def _value(node: yaml.Node, source: str) -> Any:
    """A node as plain data. Raises ManifestError for tags, for keys that are no text, and for the same key twice."""
    if node.tag not in _PLAIN:
        raise ManifestError(f"it has a value of the type {node.tag}", source)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, source) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _PLAIN:
                raise ManifestError("a key is no text", source)
            if key.value in found:
                raise ManifestError(f"the field {key.value!r} is there twice", source)
            found[key.value] = _value(value, source)
        return found
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    text, kind = str(node.value), node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("yes", "true", "on")
    if kind == "int" and len(text) < 20:
        return int(text)
    return float(text) if kind == "float" else text
