"""``kubectl pdshub migrate archive``: the whole way, killed at each write, refused, taken back; commands that copy."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli import main, migrate_copy, migrate_record
from pdshub.cli.hub_choice import UseError
from pdshub.cli.kubectl import KubectlError
from pdshub.cli.migrate_record import MOVING, MigrateError, Record, Seen
from pdshub.wellknown import REFRESH
from tests.programs import system
from tests.unit.cli.fake_cluster import KINDS, FakeCluster, Object

KINDS |= {"deployments.apps": "deployment"}
GEN, OTHER = f"sha256:{'ab' * 32}", f"sha256:{'cd' * 32}"
ADDED = {"port": 2049, "version": "4.2"}
NAS = {"nfs": {"server": "nas.example.org", "export": "/pds-main", **ADDED}}
ENDPOINT = "https://s3.amazonaws.com"
BUCKET = {
    "s3": {
        "endpoint": ENDPOINT,
        "bucket": "pds-archive",
        "prefix": "main",
        "region": "us-east-1",
        "secretRef": "archive-keys",
    }
}
SECOND = {"nfs": {"server": "second.example.org", "export": "/pds-main", **ADDED}}
EXTRA = {"name": "extra", "nfs": {"server": "nas.example.org", "export": "/pds-extra", **ADDED}}
SAME = {"files": 9, "bytes": 90, "byLabel": 4, "bySample": 2, "bySource": 3, "bySize": 0, "labelsWrong": 0, "wrong": 0,
        "examples": [], "generation": GEN, "rehearsed": GEN, "equal": True}  # fmt: skip


class MoveCluster(FakeCluster):
    """A cluster whose operator, nodes and surveyor follow the view."""

    def __init__(self, *, spec: Object | None = None, of_hub: bool = False) -> None:
        super().__init__()
        self.__dict__.update(kill=0, killed="after", writes=0, answer=dict(SAME), gives=GEN, away=set(), log=[],
                             copied=None, of_hub=of_hub, unready=0)  # fmt: skip
        sources = [{"name": "main", **NAS}, EXTRA]
        body: Object = {"sources": sources, "tree": [{"path": "a", "layers": [{"source": "main"}]}], **(spec or {})}
        labels = {"pdshub.dev/namespace": "hub", "pdshub.dev/hub": "sbn"} if of_hub else {}
        meta = {"name": "sbn", "uid": "u1", "generation": 1, "labels": labels}
        shown = {"name": GEN, "counts": {"files": 9, "bytes": 90}}
        status = {"generation": shown, "generations": [{"name": GEN}], "surveyor": {"namespace": "pdshub-surveyors"}}
        self.put("view", {"metadata": meta, "spec": body, "status": status})
        owner = [{"kind": "ArchiveView", "name": "sbn", "uid": "u1"}]
        deployment = {"name": "survey-sbn", "namespace": "pdshub-surveyors", "ownerReferences": owner, "generation": 1}
        self.put("deployment", {"metadata": deployment, "spec": {}, "status": {}})
        if of_hub:
            inline = {"archive": {"inline": {"sources": sources}}}
            self.put("pdshub", {"metadata": {"name": "sbn", "namespace": "hub", "generation": 1}, "spec": inline,
                                "status": {"conditions": []}})  # fmt: skip
        self.operate()

    kill: int
    killed: str
    writes: int
    answer: Object
    gives: str
    """The generation that a survey gives while the source is the copy."""
    away: set[str]
    """Sources that no node reaches, by a word of theirs."""
    log: list[tuple[str, str]]

    def run(self, *arguments: str, seconds: float | None = 60.0, stdin: str = "") -> str:
        if arguments[0] == "patch" and "--dry-run=server" not in arguments:
            self.__dict__["writes"] += 1
            if self.kill and self.writes >= self.kill:
                if self.writes == self.kill and self.killed == "after":
                    super().run(*arguments, seconds=seconds, stdin=stdin)
                raise KeyboardInterrupt
        return super().run(*arguments, seconds=seconds, stdin=stdin)

    def _patched(self, kind: str, space: str, name: str, operations: list[Object], dry_run: bool) -> Object:
        """The API server adds what the CRD says."""
        for operation in operations:
            if operation["path"].endswith("/sources"):
                for source in operation["value"]:
                    if "nfs" in source:
                        source["nfs"] = {"port": 2049, "version": "4.2", **source["nfs"]}
                    else:
                        source["s3"] = {"endpoint": "https://s3.amazonaws.com", **source["s3"]}
        return super()._patched(kind, space, name, operations, dry_run)

    def execute(self, namespace: str, target: str, container: str, command: Sequence[str],
                told: Callable[[str], None], stdin: str | None = None) -> str:  # fmt: skip
        assert (namespace, target, container) == ("pdshub-surveyors", "deployment/survey-sbn", "surveyor")
        assert command[:3] == ["python3", "-m", "pdshub.surveyor.copied"]
        told("compared 5 of 9 files")
        self.log.append(("verify", self.place("main")))
        return json.dumps(self.answer)

    @property
    def view(self) -> Object:
        return self.found("view", "sbn", "")

    def place(self, name: str) -> str:
        found = migrate_record.named(self.view["spec"]["sources"], name)
        return next(iter(json.dumps(migrate_record.place(found or {})).split('"')[1:]), "")

    def operate(self) -> None:
        if ("view", "", "sbn") not in self.objects:
            return
        view = self.view
        if self.__dict__.get("of_hub") and ("pdshub", "hub", "sbn") in self.objects:
            written = self.found("pdshub", "sbn")["spec"]["archive"]["inline"]["sources"]
            view["spec"]["sources"] = json.loads(json.dumps(written))
        spec, status, meta = view["spec"], view["status"], view["metadata"]
        seen = json.dumps(spec, sort_keys=True)
        if seen != meta.setdefault("seen", seen):
            meta["generation"], meta["seen"] = meta["generation"] + 1, seen
        status["observedGeneration"] = meta["generation"]
        status["sources"] = [
            {"name": s["name"], "ready": not any(word in json.dumps(s) for word in self.away), "message": "no route"}
            for s in spec["sources"]
        ]
        surveyor = self.found("deployment", "survey-sbn", "pdshub-surveyors")
        surveyor["spec"] = {"keys": [f"/keys/{s['name']}" for s in spec["sources"] if "s3" in s]}
        surveyor["status"] = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
        request = (meta.get("annotations") or {}).get(REFRESH)
        swapped = self.place("main") != "nfs" or "second" in json.dumps(spec["sources"][0])
        if request and (status.get("survey") or {}).get("request") != request:
            status["survey"] = {"request": request, "state": "idle"}
            name = self.gives if swapped else GEN
            status["generations"] = [{"name": n} for n in dict.fromkeys((name, GEN))]
            if not spec.get("pin"):
                status["generation"]["name"] = name
        self.__dict__["log"].append((str(spec.get("pin") or ""), self.place("main")))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("pdshub.cli.archive.POLL_SECONDS", 0.0)
    monkeypatch.setattr("pdshub.cli.migrate_act.REACH_SECONDS", 0.05)
    monkeypatch.setattr("pdshub.cli.migrate_act.ROUND_SECONDS", 0.0)


Call = Callable[[MoveCluster, str], tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    for name, body in (("bucket", BUCKET), ("second", SECOND)):
        ((kind, said),) = body.items()  # as people write it: without what the API server adds
        plain = {key: value for key, value in said.items() if key not in ("endpoint", *ADDED)}
        (tmp_path / f"{name}.yaml").write_text(json.dumps({kind: plain}))

    def run(where: MoveCluster, line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(main, "Kubectl", lambda flags: where)
        code = main.main(line.replace("DIR", str(tmp_path)).split())
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


PLAN = "migrate archive sbn --source main --to DIR/bucket.yaml"
LINE = f"{PLAN} --copied --yes"
ON = "migrate archive sbn --source main --yes"


def moved(where: MoveCluster, target: Object = BUCKET) -> None:
    written = (
        where.found("pdshub", "sbn")["spec"]["archive"]["inline"] if where.__dict__["of_hub"] else where.view["spec"]
    )
    assert written["sources"] == [{"name": "main", **target}, EXTRA]
    assert "pin" not in where.view["spec"] and where.view["status"]["generation"]["name"] == GEN
    record = migrate_record.read(where.view)
    assert record and record.done and not record.held


def untouched(where: MoveCluster) -> None:
    assert where.view["spec"]["sources"] == [{"name": "main", **NAS}, EXTRA]
    assert "pin" not in where.view["spec"]


# --- the whole way ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_hub", [False, True])
def test_the_whole_way(call: Call, of_hub: bool) -> None:
    where = MoveCluster(of_hub=of_hub)
    code, out, err = call(where, LINE)
    assert code == 0, err
    moved(where)
    assert "source main is s3://pds-archive/main, and gives abababababab as before" in out
    assert "compared 5 of 9 files" in err and "9 files are the same" in err
    held = [pin for pin, at in where.log if at == "s3" and pin != "verify"]
    assert held[0] == GEN, "while the source is swapped the view is held"
    code, out, _ = call(where, "migrate archive sbn --source main --back --yes")
    assert code == 0
    untouched(where)
    assert "source main is nas.example.org:/pds-main again" in out
    assert call(where, "migrate archive sbn --source main --forget")[0] == 0
    assert MOVING not in where.view["metadata"]["annotations"]


def test_to_a_second_server(call: Call) -> None:
    where = MoveCluster()
    assert call(where, LINE.replace("bucket", "second"))[0] == 0
    moved(where, SECOND)


def test_a_plan_stores_nothing(call: Call) -> None:
    for line in (PLAN, f"{LINE} --dry-run"):
        where = MoveCluster()
        code, out, _ = call(where, line)
        assert code == 0 and where.writes == 0 and "nothing was stored" in out
        assert "rclone copy" in out and "has to give abababababab" in out
    code, out, _ = call(MoveCluster(), f"{PLAN} -o json")
    answer = json.loads(out)
    assert (
        answer["state"] == "planned"
        and answer["commands"][0].startswith("rclone copy")
        and answer["counts"]["files"] == 9
    )
    assert set(answer) == set(json.loads(call(MoveCluster(), f"{LINE} -o json")[1])), "the same keys always"


def test_the_copy_is_run_here(call: Call, tmp_path: Path) -> None:
    rsync = os.environ.get("PDSHUB_RSYNC") or system("rsync")
    if not rsync:
        pytest.skip("needs rsync")
    (tmp_path / "nas").mkdir()
    (tmp_path / "nas/a.txt").write_text("a")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/rsync").symlink_to(rsync)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        where = MoveCluster()
        line = "migrate archive sbn --source main --to DIR/second.yaml --copy --at DIR/nas --into DIR/second --yes"
        code, _, err = call(where, line)
        assert code == 0, err
        assert (tmp_path / "second/a.txt").read_text() == "a"
        moved(where, SECOND)
        where = MoveCluster()
        code, _, err = call(where, line.replace("DIR/nas", "DIR/none"))
        assert code == 1 and "rsync ended with code 23" in err and "goes on" in err
        untouched(where)
        assert migrate_record.read(where.view) is not None


# --- killed -----------------------------------------------------------------------------------------------------------


def writes(call: Call) -> int:
    where = MoveCluster()
    assert call(where, LINE)[0] == 0
    return where.writes


@pytest.mark.parametrize("killed", ["before", "after"])
@pytest.mark.parametrize("of_hub", [False, True])
def test_killed_at_each_write(call: Call, killed: str, of_hub: bool) -> None:
    number = writes(call)
    assert number >= 10
    for at in range(1, number + 1):
        where = MoveCluster(of_hub=of_hub)
        where.set(kill=at, killed=killed)
        assert call(where, LINE)[0] == 130
        where.set(kill=0)
        record = migrate_record.read(where.view)
        assert where.view["status"]["generation"]["name"] == GEN
        if record is not None and record.done:
            moved(where)
            continue
        code, _, err = call(where, ON if record and record.copied else LINE)
        assert code == 0, f"killed {killed} write {at}: {err}"
        moved(where)


@pytest.mark.parametrize("killed", ["before", "after"])
def test_killed_and_taken_back(call: Call, killed: str) -> None:
    for at in range(1, writes(call) + 1):
        where = MoveCluster()
        where.set(kill=at, killed=killed)
        call(where, LINE)
        where.set(kill=0)
        if migrate_record.read(where.view) is None:
            continue
        code, _, err = call(where, f"{ON} --back")
        assert code == 0, f"killed {killed} write {at}: {err}"
        untouched(where)
        assert call(where, LINE)[0] == 0, "and once more"
        moved(where)


# --- refused, and taken back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"equal": False, "wrong": 1, "rehearsed": None, "examples": ["x/a.dat: is not there\x1b[2J"]},
            "1 of 9 files differ",
        ),
        ({"equal": False, "wrong": 30, "rehearsed": None, "examples": ["x"] * 20}, "… and 10 more"),
        ({"equal": False, "rehearsed": OTHER}, "the copy gives cdcdcdcdcdcd and not abababababab"),
        ({"rehearsed": OTHER}, "the copy gives cdcdcdcdcdcd"),
    ],
)
def test_a_copy_that_is_none_is_never_swapped(call: Call, answer: Object, said: str) -> None:
    where = MoveCluster()
    where.set(answer={**SAME, **answer})
    code, out, _ = call(where, LINE)
    assert code == 1 and said in out and "nothing was swapped" in out and "\x1b" not in out
    untouched(where)
    assert "s3" not in {at for _, at in where.log}
    where.set(answer=dict(SAME))
    assert call(where, f"{ON} --copied")[0] == 0, "copied again, it goes on"
    moved(where)


def test_another_generation_is_taken_back(call: Call) -> None:
    where = MoveCluster()
    where.set(gives=OTHER)
    code, out, _ = call(where, LINE)
    assert code == 1 and "the survey gives cdcdcdcdcdcd and not abababababab" in out and "is what it was" in out
    untouched(where)
    assert where.view["status"]["generation"]["name"] == GEN, "users saw nothing else"


def test_a_place_that_nodes_do_not_reach(call: Call) -> None:
    where = MoveCluster()
    where.set(away={"main-copy"})
    where.operate()
    code, _, err = call(where, LINE)
    assert code == 1 and "not yet: every node reaches main-copy: no route" in err and "goes on" in err
    where.set(away=set())
    where.operate()
    assert call(where, ON)[0] == 0
    moved(where)


def test_nothing_is_compared_before_the_surveyor_has_the_keys(call: Call) -> None:
    """Though nodes reach the copy: of one that was refused a moment ago that is said for some seconds."""
    where = MoveCluster()
    real = where.operate

    def operate() -> None:
        real()
        where.found("deployment", "survey-sbn", "pdshub-surveyors")["spec"] = {}

    where.__dict__["operate"] = operate
    code, _, err = call(where, LINE)
    assert code == 1 and "not yet: the surveyor reads main-copy" in err
    assert "verify" not in {what for what, _ in where.log}
    where.__dict__["operate"] = real
    where.operate()
    assert call(where, ON)[0] == 0
    moved(where)


def test_a_swap_that_a_node_does_not_follow_is_taken_back(call: Call) -> None:
    where = MoveCluster()
    real = where.operate

    def operate() -> None:
        where.__dict__["away"] = {"pds-archive"} if where.place("main") == "s3" else set()
        real()

    where.__dict__["operate"] = operate
    code, out, _ = call(where, LINE)
    assert code == 1 and "not yet: every node reaches main: no route" in out
    untouched(where)


@pytest.mark.parametrize(
    ("spec", "line", "said"),
    [
        ({}, "migrate archive sbn --source main --yes", "say where it shall be: --to FILE"),
        ({}, LINE.replace("main", "none", 1), "view sbn has no source none"),
        ({"form": "live"}, LINE, "view sbn is live"),
        ({"pin": OTHER}, LINE, "the view is held at"),
        ({}, LINE.replace("bucket.yaml", "none.yaml"), "No such file"),
        ({"sources": [{"name": "main", **BUCKET}]}, LINE, "is s3://pds-archive/main already"),
        (
            {"sources": [{"name": "main", **NAS}, {"name": "main-copy", **SECOND}]},
            LINE,
            "the view has a source main-copy",
        ),
        ({}, f"{LINE} --tool rsync", "rsync writes to no bucket"),
        ({}, f"{PLAN} --copy --tool datasync --yes", "datasync is not run here"),
        ({}, f"{ON} --back", "there is no move of source main"),
        ({}, f"{ON} --forget", "nothing is remembered"),
        ({}, f"{PLAN} --copied", "Nobody is there to be asked"),
    ],
)
def test_refused(call: Call, spec: Object, line: str, said: str) -> None:
    where = MoveCluster(spec=spec)
    code, _, err = call(where, line)
    assert code in (1, 2) and said in err and where.writes == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "no YAML"), ("[]", "write a source as a view has it"), ("{}", "choose exactly one kind"),
        (json.dumps({**NAS, **BUCKET}), "choose exactly one kind"), ('{"local": {"path": "/x"}}', "no place to move"),
        ('{"nfs": {"server": "a b", "export": "/x"}}', "nfs.server"), ('{"s3": {"bucket": "b"}}', "s3.bucket"),
    ],
)  # fmt: skip
def test_a_target_that_is_none(call: Call, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    code, _, err = call(MoveCluster(), PLAN.replace("bucket", "x"))
    assert code == 2 and said in err


def test_the_same_file_goes_on_with_what_the_api_server_added(call: Call) -> None:
    where = MoveCluster()
    where.set(answer={**SAME, "equal": False, "rehearsed": OTHER})
    assert call(where, LINE)[0] == 1
    where.set(answer=dict(SAME))
    assert call(where, LINE)[0] == 0, "by the same command as before"
    moved(where)
    code, _, err = call(where, LINE)
    assert code == 2 and "--back, or --forget, comes first" in err


def test_what_waits_is_decided_first(call: Call) -> None:
    where = MoveCluster()
    where.view["status"]["candidate"] = {"name": OTHER}
    code, _, err = call(where, LINE)
    assert code == 1 and "release or reject it first" in err


def test_somebody_else_writes_the_source(call: Call) -> None:
    where = MoveCluster()
    where.set(answer={**SAME, "equal": False, "rehearsed": OTHER})
    call(where, LINE)
    where.view["spec"]["sources"][0] = {"name": "main", **SECOND}
    code, _, err = call(where, f"{ON} --copied")
    assert code == 1 and "somebody made source main another place meanwhile" in err


def test_an_api_server_that_refuses_the_target(call: Call) -> None:
    where = MoveCluster()
    real = where.run

    def run(*arguments: str, seconds: float | None = 60.0, stdin: str = "") -> str:
        if arguments[0] == "patch" and "--dry-run=server" in arguments:
            raise KubectlError("spec.sources: bucket pds-archive is not allowed")
        return real(*arguments, seconds=seconds, stdin=stdin)

    where.__dict__["run"] = run
    code, _, err = call(where, PLAN)
    assert code == 1 and "is not allowed" in err


# --- decisions, record, commands --------------------------------------------------------------------------------------

RECORD = Record("main", GEN, NAS, BUCKET)
COPIED, GOOD = replace(RECORD, copied=True), replace(RECORD, copied=True, verified=True)


def seen(
    record: Record, sources: list[Object], *, ready: bool = True, pin: str = "", nodes: Sequence[Object] = ()
) -> Seen:
    status = {
        "observedGeneration": 1,
        "nodes": list(nodes),
        "sources": [{"name": s["name"], "ready": ready} for s in sources],
    }
    spec = {"sources": sources, **({"pin": pin} if pin else {})}
    return Seen(record, {"metadata": {"generation": 1}, "spec": spec, "status": status}, sources)


M, T, C = {"name": "main", **NAS}, {"name": "main", **BUCKET}, {"name": "main-copy", **BUCKET}


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (seen(RECORD, [M]), "copy"),
        (seen(COPIED, [M]), "add"),
        (seen(COPIED, [M, C], ready=False), "reach"),
        (seen(COPIED, [M, C]), "verify"),
        (seen(GOOD, [M, C]), "hold"),
        (seen(GOOD, [M, C], pin=GEN), "swap"),
        (seen(GOOD, [T, C], pin=GEN), "drop"),
        (seen(GOOD, [T], ready=False, pin=GEN), "follow"),
        (seen(GOOD, [T], pin=GEN, nodes=[{"targets": 2, "ready": False}]), "follow"),
        (seen(GOOD, [T], pin=GEN, nodes=[{"targets": 0, "ready": False}, {"targets": 1, "ready": True}]), "survey"),
        (seen(GOOD, [T], pin=GEN), "survey"),
        (seen(replace(GOOD, surveyed=True), [T], pin=GEN), "release"),
        (seen(replace(GOOD, done=True), [T]), "done"),
        (seen(replace(COPIED, back=True), [M, C]), "drop"),
        (seen(replace(COPIED, back=True), [M]), "release"),
        (seen(replace(GOOD, back=True), [T], pin=GEN), "swap"),
        (seen(replace(GOOD, back=True), [T]), "hold"),
        (seen(replace(GOOD, back=True), [M], pin=GEN), "survey"),
        (seen(replace(GOOD, back=True, surveyed=True), [M], pin=GEN), "release"),
    ],
)
def test_the_next_step(found: Seen, step: str) -> None:
    assert migrate_record.decide(found) == step


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (seen(COPIED, [EXTRA]), "has no source main any more"),
        (seen(COPIED, [{"name": "main", **SECOND}]), "somebody made source main another place"),
        (seen(COPIED, [M, {"name": "main-copy", **SECOND}]), "main-copy is another place"),
        (seen(GOOD, [M, C], pin=OTHER), "somebody holds the view"),
    ],
)
def test_what_fits_no_move(found: Seen, said: str) -> None:
    with pytest.raises(MigrateError, match=said):
        migrate_record.decide(found)


KEPT = json.loads(RECORD.text())


def carried(text: Any) -> Object:
    return {"metadata": {"annotations": {MOVING: text}}}


def test_the_record_comes_back_as_it_was_written() -> None:
    assert migrate_record.read(carried(GOOD.text())) == GOOD
    assert migrate_record.read({"metadata": {}}) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "[" * 100_000, "x" * 70_000,
     json.dumps({**KEPT, "version": 2}), json.dumps({**KEPT, "more": 1}),
     json.dumps({**KEPT, "done": "yes"}), json.dumps({**KEPT, "former": 7}), json.dumps({**KEPT, "next": {}})],
)  # fmt: skip
def test_a_record_that_is_none(text: str) -> None:
    with pytest.raises(MigrateError, match="is no record of a move"):
        migrate_record.read(carried(text))


def lines(tool: str, target: Object, exact: bool = False) -> list[str]:
    return migrate_copy.commands(tool, {"name": "main", **NAS}, target, at="/mnt/a b", into="/mnt/c/", exact=exact).text


def test_the_commands() -> None:
    (line,) = lines("", SECOND)
    assert line.startswith("rsync --archive --hard-links --numeric-ids --partial-dir=.rsync-partial ")
    assert line.endswith(" -- '/mnt/a b/' /mnt/c/")
    assert "--delete-delay" in lines("", SECOND, exact=True)[0]
    (line,) = lines("", BUCKET)
    assert line.startswith("rclone copy ") and ":s3,provider=AWS,env_auth=true,region=us-east-1," in line
    assert line.endswith(":pds-archive/main") and lines("", BUCKET, exact=True)[0].startswith("rclone sync ")
    other = {"s3": {"endpoint": "https://s3.example.org:9000", "bucket": "b1", "pathStyle": True}}
    assert 'endpoint="https://s3.example.org:9000",force_path_style=true' in lines("", other)[0]
    assert [line.split()[2] for line in lines("datasync", BUCKET)] == [
        "create-location-nfs", "create-location-s3", "create-task", "start-task-execution",
    ]  # fmt: skip
    with pytest.raises(UseError, match="from NFS to a bucket alone"):
        lines("datasync", SECOND)
    assert not any("secret" in word.lower() or "archive-keys" in word for word in lines("", BUCKET))


def test_rclone_takes_what_is_written(tmp_path: Path) -> None:
    """The real program reads the connection string; the service behind it does not answer."""
    rclone = shutil.which("rclone")
    if not rclone:
        pytest.skip("needs rclone")
    (tmp_path / "a").mkdir()
    target = {"s3": {"endpoint": "http://127.0.0.1:9", "bucket": "b1", "prefix": "x"}}
    (line,) = migrate_copy.commands("", {}, target, at=str(tmp_path / "a"), into="", exact=False).lines
    words = {**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "RCLONE_CONFIG": "/dev/null"}
    argv = [rclone, *line[1:3], "--retries=1", "--low-level-retries=1", *line[3:]]
    done = subprocess.run(argv, env=words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode and "127.0.0.1:9" in done.stderr, done.stderr
