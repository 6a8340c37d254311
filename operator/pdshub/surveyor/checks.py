"""What is looked at behind a survey's back: every label (audit), and whether the bytes are still those (verify)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdshub.archive.audit import Audit
from pdshub.archive.content.shelf import FILE as CONTENT
from pdshub.archive.content.shelf import Seen, Shelf
from pdshub.archive.findings import Finding, Findings
from pdshub.archive.pace import Pace
from pdshub.archive.plan import Plan, open_plan
from pdshub.archive.verify import compare
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

    One that was interrupted goes on where it ended. Files that travel are compared with the checksums of their labels
    without being read again.
    """
    generation = Path(task["generation"])
    plan, findings = open_plan(generation), Findings()
    journal = Journal(generation / JOURNAL, plan.tree_digest())
    pace = Pace(float(task["rate"]))
    run = Audit(plan, _roots(plan, task["sources"]), findings, pace, known=journal.known(), note=journal.note)
    with _shelf(task) as shelf:
        run.read = shelf.checksums if shelf else run.read
        run.run(say)
    found = findings.sorted()
    counts = severities(found)
    if generation.is_dir():  # it may have been dropped meanwhile
        said = {"labels": run.labels, "counts": counts, "findings": [f.wire() for f in found]}
        write_json(generation / AUDIT, said, durable=True)
        journal.remove()
    return {"labels": run.labels, "findings": counts}


@contextmanager
def _shelf(task: Json) -> Iterator[Shelf | None]:
    """What is known of files that were read because they travel; None where none do."""
    try:
        shelf = Shelf(Path(task["store"]) / CONTENT, only_read=True)
    except OSError:
        yield None  # what is damaged is read anew by the next step of content
        return
    with closing(shelf):
        yield shelf


def severities(found: list[Finding]) -> dict[str, int]:
    """Number of findings by severity."""
    return dict(sorted(Counter(f.severity for f in found).items()))


def verify(task: Json, say: Any) -> Json:
    """Compares sizes and times of all files with the sources, and the content of the sample and of all that travels.

    Returns how many files were compared, how many of these byte by byte, how many drifted, and at most ``EXAMPLES`` of
    these as source:path, those that are gone first. Raises OSError.
    """
    generation = Path(task["generation"])
    plan = open_plan(generation)
    roots = _roots(plan, task["sources"])
    say("comparing sizes and times")
    files, drifted = 0, 0
    gone, changed = list[str](), list[str]()
    for found in compare(plan, roots):
        files += found.files
        drifted += len(found.gone) + len(found.changed)
        for names, examples in ((found.gone, gone), (found.changed, changed)):
            room = EXAMPLES - len(examples)
            examples += [_full(found.source, found.directory, name) for name in names[:room]]
    say("comparing checksums")
    first = [*gone, *changed]
    content = Content(plan, roots, Pace(float(task["rate"])), say)
    with _shelf(task) as shelf:
        others = content.drift(shelf) if shelf else iter(())
        for path in dict.fromkeys((*_sample_drift(generation, plan, roots), *others)):
            drifted += 1
            first.append(path)
    return {"files": files, "compared": content.compared, "drifted": drifted, "examples": first[:EXAMPLES]}


@dataclass(slots=True)
class Content:
    """Compares files that travel with their sources, byte by byte. ``compared``: so many were the same, or were not."""

    plan: Plan
    roots: Mapping[str, Path]
    pace: Pace
    say: Callable[[str], None]
    compared: int = 0

    def drift(self, shelf: Shelf) -> Iterator[str]:
        """``source:path`` of files whose size and time are as they were, and whose bytes are not."""
        for directory in self.plan.tree():
            for group in directory.get("groups", ()):
                source = self.plan.sources[group["source"]]
                known = shelf.files(source, group["path"])
                for name, *planned in zip(group["names"], group["sizes"], group["mtimes"], strict=True):
                    seen = known.get(name)
                    if seen and list(seen[:2]) == planned and self._differs(source, group["path"], name, seen):
                        yield _full(source, group["path"], name)

    def _differs(self, source: str, folder: str, name: str, seen: Seen) -> bool:
        path = f"{folder}/{name}" if folder else name
        try:
            found = (self.roots[source] / path).lstat()
            if (found.st_size, found.st_mtime_ns) != seen[:2]:
                return False  # counted already
            self.pace.wait()
            other = bool(differs({"size": seen.size, "sha256": seen.digest.hex()}, self.roots[source], path))
        except FileNotFoundError:
            return False  # counted already
        self.compared += 1
        if self.compared % 1000 == 0:
            self.say(f"compared {self.compared} files that travel, byte by byte")
        return other


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
                path = f"{group['path']}/{name}" if group["path"] else name
                try:
                    st = (roots[source] / path).lstat()
                except OSError:
                    continue  # gone: counted already
                if (st.st_size, st.st_mtime_ns) == (item["size"], mtime) and differs(item, roots[source], path):
                    drifted.append(_full(source, group["path"], name))
    return drifted


def _full(source: str, directory: str, name: str) -> str:
    return f"{source}:{directory}/{name}" if directory else f"{source}:{name}"


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
