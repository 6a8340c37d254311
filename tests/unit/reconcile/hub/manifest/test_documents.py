"""Rendered charts as text that somebody else wrote parts of: what is read, and what is refused unread."""

from __future__ import annotations

import pytest

from pdshub.reconcile.hub.manifest import documents as module
from pdshub.reconcile.hub.manifest.documents import ManifestError, documents

PLAIN = """---
# Source: jupyterhub/templates/hub/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: hub
---
# Source: jupyterhub/templates/empty.yaml
# nothing but words
--- # a comment
apiVersion: v1
kind: ConfigMap
metadata: {name: hub}
data:
  script: |
    a: 1
     ---
    b
"""


def test_objects_and_where_they_come_from() -> None:
    found = documents(PLAIN)
    assert [(each.kind, each.name, each.source) for each in found] == [
        ("v1 Service", "hub", "jupyterhub/templates/hub/service.yaml"),
        ("v1 ConfigMap", "hub", "jupyterhub/templates/empty.yaml"),
    ]
    assert found[1].body["data"]["script"] == "a: 1\n ---\nb\n" and found[0].title == "Service hub"


VALUES: list[tuple[str, object]] = [
    ("12", 12),
    ("-3", -3),
    ("007", "007"),
    ("1_000", "1_000"),
    ("12:30", "12:30"),
    ("2026-01-02", "2026-01-02"),
    ("0x1f", "0x1f"),
    ("1.5", 1.5),
    ("1e3", 1000.0),
    ("5Gi", "5Gi"),
    ("yes", True),
    ("off", False),
    ("~", None),
    ("", None),
    ("'12'", "12"),
    ('"yes"', "yes"),
    ("=", "="),
    ("<none>", "<none>"),
    ("123456789012345678901234567890", "123456789012345678901234567890"),
]


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[v[0] or "empty" for v in VALUES])
def test_scalars_are_what_kubernetes_reads(text: str, value: object) -> None:
    (found,) = documents(f"kind: X\nvalue: {text}\n")
    assert found.body["value"] == value and type(found.body["value"]) is type(value)


REFUSED: list[tuple[str, str, str]] = [
    ("an alias", "a: &x [1]\nb: *x\n", "alias"),
    ("an anchor alone", "a: &x [1]\n", "alias"),
    ("a bomb of aliases", "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "alias"),
    ("a tag", "a: !!python/object:os.system x\n", "type"),
    ("binary", "a: !!binary aGVsbG8=\n", "type"),
    ("a merge key", "<<: {a: 1}\n", "no text"),
    ("a key twice", "kind: A\nkind: B\n", "twice"),
    ("a key in another case", "kind: A\nKind: B\n", "'Kind'"),
    ("metadata in another case", "kind: A\nMETADATA: {}\n", "'METADATA'"),
    ("a key that is a list", "? [a]\n: 1\n", "no text"),
    ("a list", "- a\n", "no object"),
    ("text", "just words\n", "no object"),
    ("no YAML", "a: [\n", "no YAML"),
    ("a separator that goes on", "a: 1\n---kind: B\n", "goes on"),
    ("an object behind the separator", "a: 1\n--- {kind: B}\n", "goes on"),
    ("an end of document", "a: 1\n...\nb: 2\n", "no YAML"),
    ("a document without its beginning", "--- \n{a: 1}\n{b: 2}\n", "no YAML"),
    ("a directive", "a: 1\n...\n%YAML 1.1\n", "no YAML"),
    ("a carriage return", "a: 1\r---\rkind: B\n", "end of line"),
    ("a line of Unicode", "a: 1\u2028---\u2028kind: B\n", "end of line"),
    ("nested without end", "a: " + "[" * 100_000, "nested"),
    ("nested maps", "".join(f"{' ' * n}a:\n" for n in range(80)), "nested"),
]


@pytest.mark.parametrize(("text", "why"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_programs_could_read_in_two_ways_is_refused(text: str, why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        documents(text)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ManifestError, match="longer"):
        documents(" " * (module.LONGEST + 1))
    with pytest.raises(ManifestError, match="more than 200 objects"):
        documents("---\nkind: A\n" * (module.MANY + 1))
    monkeypatch.setattr(module, "_NODES", 50)
    with pytest.raises(ManifestError, match="more than 50 values"):
        documents("a: [" + "x," * 60 + "]\n")
