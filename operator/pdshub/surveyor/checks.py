"""What is looked at behind a survey's back: every label (audit), and whether the bytes are still those (verify)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdshub.archive.audit import Audit, Pace
from pdshub.archive.findings import Finding, Findings
from pdshub.archive.plan import Plan, open_plan
from pdshub.archive.verify import verify as compare
from pdshub.files import read_json, write_json
from pdshub.surveyor.journal import FILE as JOURNAL
from pdshub.surveyor.journal import Journal
from pdshub.surveyor.sample import differs
from pdshub.surveyor.store import AUDIT, PROOF

EXAMPLES = 10
Json = dict[str, Any]


def _roots(plan: Plan, sources: str) -> dict[str, Path]:
    return {name: Path(sources, name) for name in plan.sources}


def audit(task: Json, say: Any) -> Json:
    """Opens every label of a generation at ``task["rate"]`` a second; writes audit.json beside its plan.

    One that was interrupted goes on where it ended.
    """
    generation = Path(task["generation"])
    plan, findings = open_plan(generation), Findings()
    journal = Journal(generation / JOURNAL, plan.tree_digest())
    pace = Pace(float(task["rate"]))
    run = Audit(plan, _roots(plan, task["sources"]), findings, pace, known=journal.known(), note=journal.note)
    run.run(say)
    found = findings.sorted()
    counts = severities(found)
    if generation.is_dir():  # it may have been dropped meanwhile
        said = {"labels": run.labels, "counts": counts, "findings": [f.wire() for f in found]}
        write_json(generation / AUDIT, said, durable=True)
        journal.remove()
    return {"labels": run.labels, "findings": counts}


def severities(found: list[Finding]) -> dict[str, int]:
    """Number of findings by severity."""
    return dict(sorted(Counter(f.severity for f in found).items()))


def verify(task: Json, say: Any) -> Json:
    """Compares sizes and times of all files with the sources, and the sample's content."""
    generation = Path(task["generation"])
    plan, findings = open_plan(generation), Findings()
    roots = _roots(plan, task["sources"])
    say("comparing sizes and times")
    files = compare(plan, roots, findings)
    found = findings.sorted()
    drifted = sum(f.count for f in found)
    examples = [_full(f.message.partition(": files")[0], name) for f in found for name in f.paths][:EXAMPLES]
    say("comparing checksums")
    for path in _sample_drift(generation, plan, roots):
        if path not in examples:
            drifted += 1
            examples.append(path)
    return {"files": files, "drifted": drifted, "examples": examples[:EXAMPLES]}


def _sample_drift(generation: Path, plan: Plan, roots: Mapping[str, Path]) -> list[str]:
    """``source:path`` of files of the sample whose size and time are as they were, and whose content is not."""
    sample = {item["path"]: item for item in (read_json(generation / PROOF) or {}).get("files", ())}
    drifted = []
    for directory in plan.tree():
        prefix = f"{directory['path']}/" if directory["path"] else ""
        for group in directory.get("groups", ()):
            for name, mtime in zip(group["names"], group["mtimes"], strict=True):
                item = sample.get(prefix + name)
                if item is None:
                    continue
                source = plan.sources[group["source"]]
                file = roots[source] / group["path"] / name
                try:
                    st = file.lstat()
                except OSError:
                    continue  # gone: counted already
                if (st.st_size, st.st_mtime_ns) == (item["size"], mtime) and differs(item, file):
                    drifted.append(_full(f"{source}:{group['path']}", name))
    return drifted


def _full(directory: str, name: str) -> str:
    return f"{directory}{name}" if directory.endswith(":") else f"{directory}/{name}"


def findings_of(generation: Path, limit: int) -> Json:
    """What survey and audit have to say about a generation, the survey's first."""
    said = [*open_plan(generation).tail["findings"]]
    audited = read_json(generation / AUDIT)
    if audited:
        said += audited["findings"]
    return {
        "findings": said[: max(0, limit)],
        "total": len(said),
        "audited": None if audited is None else audited["labels"],
    }


def text_of(item: Json) -> Finding:
    """A finding from its JSON."""
    return Finding(item["severity"], item["kind"], item["message"], tuple(item["paths"]), item["count"])
