"""``archive plan -f FILE``: what is sent to the surveyor, what people read, and what is refused before that."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli.main import main
from tests.unit.cli.test_plugin import NEW, SHOWN, VIEW, Fake

SPEC = """
  sources: [{name: main, nfs: {server: nas.example.org, export: /pds-main}}]
  tree: [{path: orex, layers: [{source: main, path: orex}]}]
  authority: {rules: [{hide: orex/orex.tagcams, reason: not reviewed yet}]}
"""
FILE = f"apiVersion: pdshub.dev/v1alpha1\nkind: ArchiveView\nmetadata: {{name: sbn}}\nspec:{SPEC}"
HUB = "kind: PDSHub\nmetadata: {name: sbn, namespace: hub}\nspec:\n archive:\n  inline:" + SPEC.replace("\n  ", "\n   ")
ANSWER: dict[str, Any] = {
    "generation": NEW, "asOf": "2026-11-25T04:22:45Z", "against": SHOWN,
    "datasets": {"added": [], "removed": [{"dataset": "urn:x::1.0"}]},
    "files": {"added": {"count": 0, "paths": []}, "removed": {"count": 1, "paths": ["orex/x"]}},
    "alone": {"datasets": {"removed": 1}, "files": {"added": 0, "removed": 1}},
    "counts": {"files": 9, "directories": 3, "bytes": 90},
    "findings": {
        "new": [{"severity": "warning", "kind": "rule-without-effect", "message": "rule 1", "paths": [], "count": 1}],
        "gone": [],
    },
}  # fmt: skip


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("KUBECTL", raising=False)
    made = Fake(tmp_path)
    made.answer(exec_plan=ANSWER)
    made.write()
    return made


def test_what_is_sent_and_what_is_said(cluster: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    file = cluster.folder / "view.yaml"
    file.write_text(FILE)
    assert main(["archive", "plan", "-f", str(file)]) == 0
    assert capsys.readouterr().out == (
        f"view sbn as in {file}, decided on what the survey of 2026-11-25T04:22:45Z read, against bbbbbbbbbbbb,"
        " which users see\n"
        "removed urn:x::1.0\n1 files removed\n  orex/x\n"
        "new finding: warning: rule-without-effect: rule 1\nusers would see 9 files, 3 directories, 90 bytes\n"
        "nothing was stored or released\n"
    )
    line = ["pdshub-surveyor", "plan", "--output", "json", "--against", SHOWN, "--limit", "1000"]
    where = ["-n", "pdshub-surveyors", "deployment/survey-sbn", "-c", "surveyor"]
    assert cluster.calls()[-1] == ["exec", "-i", *where, "--", *line]
    assert not any("patch" in call for call in cluster.calls())
    sent = json.loads((cluster.folder / "stdin").read_text())
    assert sent["name"] == "sbn" and sent["spec"]["authority"]["rules"][0]["hide"] == "orex/orex.tagcams"


def test_from_standard_input_of_a_hub_as_json(
    cluster: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.answers["get archiveviews.pdshub.dev hub-sbn"] = {**VIEW, "metadata": {"name": "hub-sbn"}}
    cluster.answers["get deployments.apps"] = {
        "items": [
            {"metadata": {"name": "survey-hub-sbn", "namespace": "pdshub-surveyors",
                          "ownerReferences": [{"kind": "ArchiveView", "name": "hub-sbn"}]}}
        ]
    }  # fmt: skip
    cluster.write()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"kind: Namespace\n---\n{HUB}"))
    assert main(["archive", "plan", "-f", "-", "-o", "json", "--against", "aaaaaaaaaaaa"]) == 0
    assert json.loads(capsys.readouterr().out) == ANSWER
    assert json.loads((cluster.folder / "stdin").read_text())["name"] == "hub-sbn"


@pytest.mark.parametrize(
    ("status", "spec", "said"),
    [
        ({"generations": [{"name": NEW}]}, {}, "against bbbbbbbbbbbb, while users see the sources live\n"),
        ({"generation": {"name": SHOWN}}, {"pin": SHOWN}, "the view is pinned at bbbbbbbbbbbb: users see nothing else"),
    ],
)
def test_what_users_see_now(
    cluster: Fake, capsys: pytest.CaptureFixture[str], status: dict[str, Any], spec: dict[str, Any], said: str
) -> None:
    found = {"surveyor": VIEW["status"]["surveyor"], **status}
    cluster.answers["get archiveviews.pdshub.dev sbn"] = {"metadata": {"name": "sbn"}, "spec": spec, "status": found}
    cluster.write()
    (cluster.folder / "view.yaml").write_text(FILE)
    assert main(["archive", "plan", "-f", str(cluster.folder / "view.yaml")]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no YAML"),
        ("[" * 100_000, "no YAML"),
        ("kind: Pod", "must hold one object of kind ArchiveView or PDSHub, and holds none"),
        (f"{FILE}\n---\n{FILE}", "holds several"),
        (FILE.replace("{name: sbn}", "{}"), "metadata.name: the name of the view is needed"),
        ("kind: ArchiveView\nmetadata: {name: sbn}", "spec: an object is needed"),
        (FILE.replace("hide:", "hid:"), "spec.authority.rules[0].hid: there is no such field; kubectl explain"),
        (FILE.replace("hid", "x", 1), "kubectl explain av.spec.authority.rules lists them"),
        (FILE.replace("hide: orex", "pin: {dataset: d}, hide: orex"), "spec.authority.rules[0].pin: pin either a ver"),
        (FILE.replace("source: main", "source: mian"), "'mian' is not in sources (main)"),
        (FILE.replace("spec:", "spec:\n  form: live"), "spec.form: the whole view is live"),
        (HUB.replace(", namespace: hub", ""), "metadata.namespace: a PDSHub's view is called NAMESPACE-NAME"),
        ("kind: PDSHub\nmetadata: {name: a, namespace: b}\nspec: {archive: {viewRef: c}}", "has no view of its own"),
        (HUB.replace("nfs: {server: nas.example.org, export: /pds-main}", "local: {path: /x}"), "spec.archive.inline"),
        (None, "No such file"),
    ],
)
def test_what_is_refused(cluster: Fake, capsys: pytest.CaptureFixture[str], text: str | None, words: str) -> None:
    file = cluster.folder / "view.yaml"
    if text is not None:
        file.write_text(text)
    assert main(["archive", "plan", "-f", str(file)]) == 2
    assert words in capsys.readouterr().err
    assert cluster.calls() == []


def test_what_only_a_survey_can_tell(cluster: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.answer(exec_plan="pdshub-surveyor: main:new was not read by the last survey: only a survey can tell\n")
    cluster.write()
    (cluster.folder / "view.yaml").write_text(FILE)
    assert main(["archive", "plan", "-f", str(cluster.folder / "view.yaml")]) == 1
    assert "only a survey can tell" in capsys.readouterr().err


# --- archive cost

BUCKET = FILE.replace("nfs: {server: nas.example.org, export: /pds-main}", "s3: {bucket: pds-sbn, region: us-east-1}")
PRICES = json.dumps(
    {
        "prices": [
            {"key": key, "unit": "1000 requests", "usd": {"us-east-1": usd}, "offer": "", "usage": "",
             "date": "2025-12-01", "source": "https://example.org"}
            for key, usd in (("s3.put", "0.005"), ("s3.get", "0.0004"))
        ]
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("view", "words", "says", "expected"),
    [
        (BUCKET, ["--files", "1000000"], "1,000     0.005  3.65", 1000),
        (BUCKET, ["--files", "1e6"], "1000000 files, 1000 to a request; ", 1000),
        (BUCKET, [], "not known before the first survey: this is the source's limit", 20_000),
        (HUB.replace("nfs: {server: nas.example.org, export: /pds-main}", "s3: {bucket: pds-sbn, region: us-east-1}"),
         ["--files", "1"], "view hub-sbn, surveyed every 3600 s", 1),
        (FILE, ["--files", "1"], "no source is in S3", None),
        (BUCKET.replace("region: us-east-1", "region: us-east-1, limits: {usdPerMonth: 1}"), ["--files", "1000000"],
         "no survey would begin: source main: surveys would cost 3.65 US dollars a month", 1000),
        (BUCKET.replace("region: us-east-1", 'endpoint: "https://s3.example.org"'), ["--files", "5"],
         "no prices are known of this service", 1),
    ],
)  # fmt: skip
def test_what_surveys_would_cost(
    cluster: Fake, capsys: pytest.CaptureFixture[str], view: str, words: list[str], says: str, expected: int | None
) -> None:
    """By the plugin alone: nothing is asked, neither of a cluster nor of a service."""
    file, prices = cluster.folder / "view.yaml", cluster.folder / "prices.json"
    file.write_text(view)
    prices.write_text(PRICES)
    line = ["archive", "cost", "-f", str(file), "--prices", str(prices), *words]
    assert main(line) == 0
    assert says in capsys.readouterr().out
    assert main([*line, "-o", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["expected"] for one in answer["sources"]] == ([] if expected is None else [expected])
    assert bool(answer["refused"]) is ("no survey" in says) and cluster.calls() == []


def test_the_prices_that_the_plugin_carries_are_dated(cluster: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    file = cluster.folder / "view.yaml"
    file.write_text(BUCKET)
    assert main(["archive", "cost", "-f", str(file), "--files", "1000000"]) == 0
    assert "3.65" in capsys.readouterr().out
    assert main(["archive", "cost", "-f", str(file), "--prices", "/nowhere"]) == 1
    assert "/nowhere: No such file" in capsys.readouterr().err
