"""What people read of the answers that programs get as JSON."""

from __future__ import annotations

from typing import Any

from pdshub.archive.findings import printable

PROGRESS = "… "
"""Begins a line on standard error that says how far a command is."""


def explained(answer: dict[str, Any]) -> str:
    """Lines of text for an answer of ``explain``."""
    state = answer.get("state") or ("visible" if answer["visible"] else "hidden")
    said = {"visible": answer.get("kind"), "hidden": "not visible", "absent": "no such path", "live": "live"}[state]
    lines = [f"{printable(answer['path']) or '.'}: {said}"]
    lines += [f"  from {printable(o['source'])}:{printable(o.get('path', ''))}" for o in answer.get("from", ())]
    if answer.get("dataset"):
        lines.append(f"  belongs to {printable(answer['dataset']['name'])}")
    also = "also at" if answer["visible"] else "at"
    lines += [
        f"  {also} {printable(o['source'])}:{printable(o['path'])}: {printable(o['reason'])}" for o in answer["others"]
    ]
    lines += [
        printable(f"  {d['dataset']} from {d['source']}:{d['root']} is {d['state']}")
        + (f": {printable(d['reason'])}" if d["reason"] else "")
        for d in answer["decisions"]
        if state != "absent"
    ]
    lines += [f"  {printable(note)}" for note in answer.get("notes", ())]
    if state == "absent":
        lines.append(f"  the nearest directory is {printable(answer['parent']) or '.'}")
        lines += [f"  a name like it: {printable(name)}" for name in answer["near"]]
    return "\n".join(lines)


NAMED = 20
"""Files of each kind that people read; --output json has more."""


def differences(answer: dict[str, Any]) -> str:
    """Lines of text for an answer of ``diff``."""
    lines = [_dataset(kind, d) for kind, found in answer["datasets"].items() for d in found]
    for kind, files in answer["files"].items():
        if files["count"]:
            lines.append(f"{files['count']} files {kind}")
            lines += [f"  {printable(p)}" for p in files["paths"][:NAMED]]
            lines += [f"  … {files['count'] - NAMED} more"] if files["count"] > NAMED and files["paths"] else []
    return "\n".join(lines) or "no difference"


def _dataset(kind: str, d: dict[str, Any]) -> str:
    text = f"{kind} {printable(str(d['dataset']))}"
    if kind == "replaced" and "was" in d:
        was = f"was {printable(d['was'])}, " if d["was"] != d["dataset"] else ""
        text += f": {was}from {printable(d['from'])}, now {printable(d['to'])}"
    elif kind == "rehomed" and "to" in d:
        text += f": was at {printable(d['from'] or '.')}, now at {printable(d['to'] or '.')}"
    return text


def previewed(answer: dict[str, Any]) -> str:
    """Lines of text for an answer of ``plan``: what differs from what users see, and which findings come and go."""
    lines = [differences(answer)]
    own = [
        f"{number} {what} {kind}"
        for what in ("datasets", "files")
        for kind, number in answer["alone"][what].items()
        if number
    ]
    whole = {kind: item["count"] for kind, item in answer["files"].items()}
    if answer["alone"]["files"] != whole:
        lines.append(
            f"of this the view itself does: {', '.join(own) or 'nothing'}; the rest the newest survey brings anyway"
        )
    for word, found in answer["findings"].items():
        for f in found:
            lines.append(f"{word} finding: {f['severity']}: {f['kind']}: {printable(f['message'])}")
            lines += [f"    {printable(path)}" for path in f["paths"]]
    counts = ", ".join(f"{answer['counts'][kind]} {kind}" for kind in ("files", "directories", "bytes"))
    return "\n".join([*lines, f"users would see {counts}"])
