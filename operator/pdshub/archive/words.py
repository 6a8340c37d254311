"""What people read of the answers that programs get as JSON."""

from __future__ import annotations

from typing import Any

from pdshub.archive.findings import printable

PROGRESS = "… "
"""Begins a line on standard error that says how far a command is."""


def explained(answer: dict[str, Any]) -> str:
    """An answer of ``explain``."""
    state = answer.get("state") or ("visible" if answer["visible"] else "hidden")
    said = {"visible": answer.get("kind"), "hidden": "not visible", "absent": "no such path", "live": "live"}[state]
    lines = [f"{printable(answer['path']) or '.'}: {said}"]
    lines += [f"  from {o['source']}:{printable(o.get('path', ''))}" for o in answer.get("from", ())]
    if answer.get("dataset"):
        lines.append(f"  belongs to {answer['dataset']['name']}")
    also = "also at" if answer["visible"] else "at"
    lines += [f"  {also} {o['source']}:{printable(o['path'])}: {printable(o['reason'])}" for o in answer["others"]]
    lines += [
        f"  {d['dataset']} from {d['source']}:{printable(d['root'])} is {d['state']}"
        + (f": {d['reason']}" if d["reason"] else "")
        for d in answer["decisions"]
        if state != "absent"
    ]
    lines += [f"  {printable(note)}" for note in answer.get("notes", ())]
    if state == "absent":
        lines.append(f"  the nearest directory is {printable(answer['parent']) or '.'}")
        lines += [f"  a name like it: {printable(name)}" for name in answer["near"]]
    return "\n".join(lines)


def differences(answer: dict[str, Any]) -> str:
    """An answer of ``diff``."""
    lines = [f"{kind} {d['dataset']}" for kind, found in answer["datasets"].items() for d in found]
    for kind, files in answer["files"].items():
        lines.append(f"{files['count']} files {kind}")
        lines += [f"  {printable(p)}" for p in files["paths"][:20]]
    return "\n".join(lines)
