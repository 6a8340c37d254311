"""The texts that are tried: each hides an object that a hub may not have, or a part of one, behind a harmless word."""

from __future__ import annotations

from collections.abc import Mapping

MARK = "MARK"
"""Stands for a word that no other text of a render has."""
RAN = "pdshub-ran-"
"""What a template prints that was run, with the mark behind it."""
_META = "metadata: {name: MARK, namespace: pdshub-system}"
# what the template prints behind the text becomes part of a field that Kubernetes does not know
_ITEM = f"{{apiVersion: v1, kind: ConfigMap, {_META}}}"
_REST = "\nrest: |1\n "
OBJECT = f"---\napiVersion: v1\nkind: ConfigMap\n{_META}{_REST}"
NEWLINE = f"x\n{OBJECT}"
PAYLOADS: Mapping[str, str] = {
    "an object": NEWLINE,
    "an object of the cluster": f"x\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: MARK}}{_REST}",
    "a list of objects": f"x\n---\napiVersion: v1\nkind: List\nitems: [{_ITEM}]{_REST}",
    "an object behind a double quote": f'x"\n{OBJECT}',
    "an object behind a single quote": f"x'\n{OBJECT}",
    "an object behind the end of a document": f"x\n...\n{OBJECT}",
    "an object beside the separator": f"x\n--- {_ITEM}\n---{_REST}",
    "carriage returns and newlines": NEWLINE.replace("\n", "\r\n"),
    "carriage returns": NEWLINE.replace("\n", "\r"),
    "U+2028": NEWLINE.replace("\n", "\u2028"),
    "U+0085": NEWLINE.replace("\n", "\x85"),
    "fields of the same object": f"x\nkind: ClusterRole\n{_META}{_REST}",
    "a namespace of the same object": "x\n  namespace: pdshub-system\n  MARK: x",
    "an anchor": "&MARK x",
    "an alias": "*MARK",
    "a tag": "!!binary MARK",
    "a template": f'{{{{ print "{RAN}" "MARK" }}}}',
}
"""By what they hide."""
PROBE = " MARK"
"""Whoever quotes it has to: a text that begins with a blank loses it otherwise."""
