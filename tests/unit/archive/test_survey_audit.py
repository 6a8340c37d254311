"""The audit opens every label; each row is one thing that only it can see. And verify, which sees drift."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pdshub.archive.audit import Audit
from pdshub.archive.findings import Findings
from pdshub.archive.pace import Pace
from pdshub.archive.verify import verify
from tests.unit.archive.archive_support import OLD, build, collection, label, run, spec

P = "urn:nasa:pds:x:data:p"
CASES: dict[str, tuple[dict[str, str], set[str]]] = {
    "whole": (
        {
            "d/c.xml": collection("x:data", files=["c.csv"]),
            "d/c.csv": f"P,{P}::1.0\r\nS,urn:nasa:pds:elsewhere:a:b::1.0\r\n",
            "d/p.xml": label("Observational", P, files=["p.dat"]),
            "d/p.dat": "",
        },
        set(),
    ),
    "absent file": ({"d/p.xml": label("Observational", P, files=["p.dat"])}, {"file-absent"}),
    "missing member": (
        {"d/c.xml": collection("x:data", files=["c.csv"]), "d/c.csv": f"P,{P}\r\n"},
        {"member-missing"},
    ),
    "broken inventory": (
        {"d/c.xml": collection("x:data", files=["c.csv"]), "d/c.csv": "nonsense\r\n"},
        {"broken-inventory"},
    ),
    "one product twice": (
        {"d/p.xml": label("Observational", P), "e/q.lblx": label("Observational", P)},
        {"product-twice"},
    ),
    "broken label": ({"d/p.xml": "<p"}, {"broken-label"}),
}


@pytest.mark.parametrize("name", CASES)
def test_audit(name: str, tmp_path: Path) -> None:
    files, expected = CASES[name]
    a = build(tmp_path / "a", files)
    plan, _ = run(tmp_path, {"a": a}, spec(["a"]))
    findings = Findings()
    Audit(plan, {"a": a}, findings, Pace(0)).run()
    assert {f.kind for f in findings.sorted()} == expected


def test_checksums(tmp_path: Path) -> None:
    text = label("Observational", P, files=["p.dat"])
    text = text.replace("</file_name>", "</file_name><md5_checksum>900150983CD24FB0D6963F7D28E17F72</md5_checksum>")
    a = build(tmp_path / "a", {"d/p.xml": text, "d/p.dat": "abc"})
    plan, _ = run(tmp_path, {"a": a}, spec(["a"]))
    for content, expected in (("abc", []), ("abd", ["checksum"])):
        (a / "d" / "p.dat").write_text(content)
        findings = Findings()
        Audit(plan, {"a": a}, findings, Pace(0), checksums=True).run()
        assert [f.kind for f in findings.sorted()] == expected


def test_the_pace_is_kept() -> None:
    clock = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    pace = Pace(10, sleep, lambda: clock[0])
    for _ in range(11):
        pace.wait()
    assert sum(slept) == pytest.approx(1.0)


def test_verify_sees_drift(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"d/same": "1", "d/longer": "1", "d/touched": "1", "d/gone": "1"})
    plan, _ = run(tmp_path, {"a": a}, spec(["a"]))
    (a / "d" / "longer").write_text("12")
    os.utime(a / "d" / "touched", (OLD + 1, OLD + 1))
    (a / "d" / "gone").unlink()
    findings = Findings()
    assert verify(plan, {"a": a}, findings) == 4
    assert [(f.kind, f.paths) for f in findings.sorted()] == [("gone", ("gone",)), ("drifted", ("longer", "touched"))]
