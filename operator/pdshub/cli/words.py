"""What people read. Pure: from objects of the API to lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pdshub import generation_id
from pdshub.api.decision import Decision
from pdshub.api.decision import words as decision_words
from pdshub.api.generation import LIVE
from pdshub.archive.findings import printable

Json = Mapping[str, Any]


def short(name: str | None) -> str:
    """A generation's first twelve digits; a dash for none, in tables and sentences."""
    return generation_id.short(name or "") or "-"


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as they need to be; the first row is the heading."""
    texts = [[printable(str(cell)) if cell not in (None, "") else "-" for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in texts) for n in range(len(texts[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts
    )


def condition(thing: Json, kind: str) -> Json:
    """One condition of an object, {} where it has none."""
    for found in (thing.get("status") or {}).get("conditions") or []:
        if found.get("type") == kind:
            return dict(found)
    return {}


def hubs(found: Iterable[Json]) -> str:
    """A line for each hub."""
    rows: list[list[Any]] = [["NAMESPACE", "HUB", "READY", "USERS", "ARCHIVE", "MESSAGE"]]
    for hub in found:
        status, ready = hub.get("status") or {}, condition(hub, "Ready")
        meta = hub["metadata"]
        rows.append(
            [meta.get("namespace"), meta["name"], ready.get("status"), status.get("users", 0), status.get("archive"),
             "" if ready.get("status") == "True" else ready.get("message")]
        )  # fmt: skip
    return table(rows) if len(rows) > 1 else "no hubs"


def held(view: Json) -> int:
    """How many servers nodes say still show another generation, also those that the status does not name."""
    listed = (view.get("status") or {}).get("nodes") or []
    return sum(one for node in listed if isinstance(one := node.get("held"), int))


def views(found: Iterable[Json]) -> str:
    """A line for each view."""
    rows: list[list[Any]] = [["VIEW", "READY", "FORM", "GENERATION", "AS OF", "FILES", "SURVEY", "WAITS", "HELD"]]
    for view in found:
        status = view.get("status") or {}
        released, candidate = status.get("generation") or {}, status.get("candidate") or {}
        rows.append(
            [view["metadata"]["name"], condition(view, "Ready").get("status"), status.get("form"),
             short(released.get("name")), released.get("asOf"), (released.get("counts") or {}).get("files"),
             (status.get("survey") or {}).get("state"), candidate.get("reason"), held(view) or None]
        )  # fmt: skip
    return table(rows) if len(rows) > 1 else "no archive views"


def changes(found: Json | None) -> str:
    """Numbers of a candidate's changes; None where the operator does not know them yet."""
    if found is None:
        return "what it changes is not known yet"
    parts = [
        f"{found[f'{what}{kind}']} {what} {kind.lower()}"
        for what in ("datasets", "files")
        for kind in ("Added", "Removed", "Replaced")
        if found.get(f"{what}{kind}")
    ]
    return ", ".join(parts) or "no change of names"


def brings(candidate: Json) -> str:
    """What a generation that waits changes for users, who see another one or, before the first, the sources live."""
    found = candidate.get("changes")
    if found is None or candidate.get("against") != LIVE:
        return changes(found)
    counts = candidate.get("counts") or {}
    parts = [
        f"{found[key]} {text}"
        for key, text in (
            ("datasetsRemoved", "datasets hidden"),
            ("filesRemoved", "files hidden"),
            ("filesReplaced", "files from another copy"),
            ("filesAdded", "files at another place"),
        )
        if found.get(key)
    ]
    against = ", ".join(parts) or "no change of names"
    return (
        f"first generation: {counts.get('datasets', 0)} datasets, {counts.get('files', 0)} files; "
        f"against what users see live: {against}"
    )


def compared(answer: Json) -> str:
    """The heading of a comparison."""
    if answer["from"] == LIVE:
        as_of = f" as of {answer['asOf']}" if answer.get("asOf") else ""
        return f"from the sources live{as_of} to {short(answer['to'])}"
    return f"from {short(answer['from'])} to {short(answer['to'])}"


def _decision(found: Json) -> str:
    decision = Decision.model_validate(found)
    by = decision_words(decision)
    return f"{decision.kind}: {short(decision.generation)}" + (f" {by}" if by else "")


def _shown(thing: Json) -> list[str]:
    released = (thing.get("status") or {}).get("generation") or {}
    if not released:
        return ["Users see no generation yet, but the sources live"]
    counts, findings = released.get("counts") or {}, released.get("findings") or {}
    numbers = ", ".join(f"{counts.get(kind, 0)} {kind}" for kind in ("files", "directories", "bytes"))
    lines = [f"Users see {short(released.get('name'))} as of {released.get('asOf') or 'unknown'}: {numbers}"]
    plural = {"error": "errors", "warning": "warnings", "info": "remarks"}
    if said := ", ".join(f"{findings[kind]} {text}" for kind, text in plural.items() if findings.get(kind)):
        lines.append(f"Findings: {said} (kubectl pdshub archive findings {thing['metadata']['name']})")
    if travels := released.get("content"):
        lines.append(
            f"Read on the nodes themselves: {travels.get('files', 0):,} of {travels.get('wantedFiles', 0):,} files, "
            f"{travels.get('bytes', 0):,} bytes (content {short(travels.get('digest'))})"
        )
    return lines


def _summary(thing: Json) -> list[str]:
    spec, status = thing.get("spec") or {}, thing.get("status") or {}
    candidate, survey = status.get("candidate") or {}, status.get("survey") or {}
    lines = [f"View {thing['metadata']['name']}: {status.get('form') or 'not looked at yet'}", *_shown(thing)]
    decided = status.get("decisions") or []
    if spec.get("pin") and not any(item.get("kind") == "Pinned" for item in decided):
        lines.append(f"Pinned at {spec['pin']}")
    lines += map(_decision, decided)
    if candidate:
        lines.append(f"Waiting: {candidate.get('message')}")
        lines.append(f"  it brings: {brings(candidate)}")
    if survey:
        words = f": {survey['message']}" if survey.get("message") else ""
        lines.append(f"Survey: {survey.get('state')}{words}; the last ended {survey.get('lastFinished') or 'never'}")
        lines += map(_cost, survey.get("cost") or [])
    for found in status.get("conditions") or []:
        bad = "True" if found.get("type") in ("PinnedDrift", "Deleting") else "False"
        if found.get("status") == bad:
            lines.append(f"{found.get('type')} is {bad}: {found.get('message') or found.get('reason')}")
    return lines


def _cost(one: Json) -> str:
    """What a survey of a source in S3 asks for, before it runs and after."""
    last = one.get("requests")
    asked = f"; the last asked {last:,}" if isinstance(last, int) else ""
    usd = f", {one['usd']} US dollars ({one.get('usdPerMonth')} a month)" if one.get("usd") else ""
    return (
        f"Survey of {one.get('source')} in S3: {one.get('expected', 0):,} requests{usd}{asked} [{one.get('message')}]"
    )


_PROOF = {"intact": "ok", "changing": "changing", "incomplete": "incomplete", "violated": "FAILED"}


def _node(node: Json, travels: bool) -> list[Any]:
    """A row for a node. ``travels``: whether the view has files that are read on nodes themselves."""
    proof = node.get("proof") or {}
    word = _PROOF.get(str(proof.get("result")), "ok" if proof.get("ok") else "FAILED")
    told = f"{word} {proof.get('at', '')}" if proof else None
    words = node.get("message") or (proof.get("message") if proof and not proof.get("ok") else "")
    content = node.get("content")
    local = [f"{content.get('files', 0):,}" if content else None] * travels
    return [*(node.get(key) for key in ("name", "ready", "form")), short(node.get("generation")), *local,
            node.get("targets"), told, words or (content or {}).get("message")]  # fmt: skip


def view(thing: Json) -> str:
    """What ``archive status VIEW`` prints: a summary, then tables of generations, sources and nodes."""
    status = thing.get("status") or {}
    shown = (status.get("generation") or {}).get("name")
    blocks = ["\n".join(printable(line) for line in _summary(thing))]
    if kept := status.get("generations"):
        rows = [[short(g["name"]), g.get("asOf"), g.get("files"), "shown" if g["name"] == shown else " "] for g in kept]
        blocks.append(table([["KEPT", "AS OF", "FILES", " "], *rows]))
    if sources := status.get("sources"):
        rows = [[s.get(key) for key in ("name", "ready", "mode", "message")] for s in sources]
        blocks.append(table([["SOURCE", "READY", "MODE", "MESSAGE"], *rows]))
    if nodes := status.get("nodes"):
        travels = any(node.get("content") for node in nodes)
        heading = ["NODE", "READY", "FORM", "GENERATION", *["LOCAL"] * travels, "PODS", "PROOF", "MESSAGE"]
        blocks.append(table([heading, *(_node(node, travels) for node in nodes)]))
    return "\n\n".join(blocks)
