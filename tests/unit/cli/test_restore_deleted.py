"""``kubectl pdshub restore-deleted``: a hub comes back over what it left, or it is said what is missing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub.cli import left_behind
from pdshub.cli.hub_choice import UseError
from pdshub.wellknown import CHANGED_BY, MANAGER
from tests.unit.cli.backup_cluster import ADA, BELA, BackupCluster, home, secret
from tests.unit.cli.fake_cluster import hub
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless

SAVED: dict[str, Any] = {
    "apiVersion": "pdshub.dev/v1alpha1",
    "kind": "PDSHub",
    "metadata": {
        "name": "sbn", "namespace": "hub", "uid": "u", "resourceVersion": "7", "generation": 3, "finalizers": ["f"],
        "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-11-26T00:00:00Z",
        "managedFields": [{"manager": "m"}], "labels": {"team": "sbn"},
        "annotations": {"note": "ours", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    },
    "spec": {
        "signIn": {"google": {"clientId": "c", "clientSecretRef": {"name": "google-oauth", "key": "client-secret"}}},
        "users": {"allowed": [ADA], "from": [{"secret": {"name": "names", "key": "list"}}]},
    },
    "status": {"users": 3},
}  # fmt: skip
DATABASE = "claim", {
    "metadata": {"name": "hub-db-dir", "namespace": "hub", "labels": {"pdshub.dev/hub": "sbn"}},
    "spec": {"volumeName": "pv-db"}, "status": {"phase": "Bound"},
}  # fmt: skip
LEFT = [DATABASE, secret("sbn-keys", key="x"), secret("google-oauth", key="x"), secret("names", list="x"),
        ("namespace", {"metadata": {"name": "hub"}})]  # fmt: skip


def deleted(*more: tuple[str, dict[str, Any]], without: str = "") -> BackupCluster:
    """What a deleted hub left, and no hub."""
    where = BackupCluster(*LEFT)
    for found in [found for found in where.objects if found[0] == "pdshub" or found[2] == without]:
        del where.objects[found]
    for kind, thing in more:
        where.put(kind, thing)
    return where


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "sbn.yaml"
    made.write_text(yaml.safe_dump_all([{"kind": "Namespace"}, SAVED]))
    return made


def test_it_comes_back(call: Call, file: Path) -> None:
    where = deleted()
    code, out, err = call(where, f"restore-deleted --file {file} --yes")
    assert code == 0, out + err
    assert out.splitlines() == [
        "PDSHub hub/sbn", "  the database: claim hub-db-dir", "  2 homes", "  the hub's keys: Secret sbn-keys",
        "created: kubectl wait -n hub --for=condition=Ready pdshub/sbn --timeout=5m",
    ]  # fmt: skip
    (made,) = where.created
    by = json.loads(made["metadata"]["annotations"].pop(CHANGED_BY))
    assert by["by"] == "ada@desk" and by["command"].startswith("restore-deleted --file")
    assert made["spec"] == SAVED["spec"] and "status" not in made
    for name in ("uid", "creationTimestamp", "generation"):
        made["metadata"].pop(name)  # of the API server
    assert made["metadata"] == {
        "name": "sbn", "namespace": "hub", "labels": {"team": "sbn"}, "annotations": {"note": "ours"},
    }  # fmt: skip


def test_claims_of_the_operator_are_no_homes(call: Call, file: Path) -> None:
    """Its copies of the database wait for their first Job, which is in nobody's way."""
    labels = {"pdshub.dev/hub": "sbn", "app.kubernetes.io/managed-by": MANAGER}
    copies = {"metadata": {"name": "sbn-copies", "namespace": "hub", "labels": labels}, "status": {"phase": "Pending"}}
    code, out, err = call(deleted(("claim", copies)), f"restore-deleted --file {file} --yes")
    assert code == 0 and "  2 homes\n" in out and "sbn-copies" not in out + err, out + err


def test_a_dry_run(call: Call, file: Path) -> None:
    where = deleted()
    code, out, err = call(where, f"restore-deleted -f {file} --dry-run")
    assert code == 0 and not err and not where.created
    assert out.endswith("nothing was stored: --dry-run\n")
    assert any("--dry-run=server" in line for line in where.calls)


FOREIGN = {**DATABASE[1], "metadata": {**DATABASE[1]["metadata"], "labels": {"pdshub.dev/hub": "other"}}}
BARE = {**DATABASE[1], "metadata": {**DATABASE[1]["metadata"], "labels": {}}}
_HELM = {"meta.helm.sh/release-name": "sbn", "meta.helm.sh/release-namespace": "hub"}


def of_helm(notes: dict[str, str], manager: str = "Helm") -> dict[str, Any]:
    """The database's claim as Helm leaves it: without a mark of PDSHub's."""
    labels = {"app.kubernetes.io/managed-by": manager}
    return {**DATABASE[1], "metadata": {**DATABASE[1]["metadata"], "labels": labels, "annotations": notes}}


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        (of_helm(_HELM), "the database: claim hub-db-dir"),
        (of_helm(_HELM | {"meta.helm.sh/release-name": "other"}), "is marked as of hub other"),
        (of_helm(_HELM | {"meta.helm.sh/release-namespace": "elsewhere"}), "has no mark that says whose it is"),
        (of_helm(_HELM, "somebody"), "has no mark that says whose it is"),
        (of_helm({}), "has no mark that says whose it is"),
    ],
)
def test_the_mark_of_helm_says_whose_the_database_is(call: Call, file: Path, claim: dict[str, Any], words: str) -> None:
    _, out, err = call(deleted(("claim", claim)), f"restore-deleted -f {file} --dry-run")
    assert words in out + err


LOOSE = {**DATABASE[1], "status": {"phase": "Pending"}}
GOING = {"metadata": {**hub()["metadata"], "deletionTimestamp": "2026-11-26T00:00:00Z"}, "spec": {}, "status": {}}
LOST = home(BELA, "claim-bela", status={"phase": "Lost"})
STOPS = [
    (deleted(without="hub-db-dir"), "NO: claim hub-db-dir is gone: the hub would begin with an empty database"),
    (deleted(("claim", FOREIGN)), "NO: claim hub-db-dir is marked as of hub other: if it is this hub's, kubectl label"),
    (deleted(("claim", BARE)), "NO: claim hub-db-dir has no mark that says whose it is"),
    (deleted(("claim", LOOSE)), "NO: claim hub-db-dir is not bound to a volume"),
    (deleted(LOST), f"NO: claim claim-bela ({BELA}) is not bound"),
    (deleted(without="google-oauth"), "NO: spec.signIn.google.clientSecretRef: Secret google-oauth is gone: create it"),
    (deleted(without="names"), "NO: spec.users.from[0].secret: Secret names is gone: create it first"),
    (deleted(("pdshub", hub())), "NO: PDSHub hub/sbn is there: nothing has to be brought back"),
    (deleted(("pdshub", GOING)), "NO: PDSHub hub/sbn is still going: wait until it is gone"),
    (deleted(("pdshub", hub("other"))), "NO: namespace hub has PDSHub other, and holds one hub only"),
    (
        deleted(("namespace", {"metadata": {"name": "hub", "deletionTimestamp": "2026-11-26T00:00:00Z"}})),
        "NO: namespace hub is being deleted",
    ),
]


@pytest.mark.parametrize(("where", "said"), STOPS, ids=[said for _, said in STOPS])
def test_what_keeps_it_from_coming_back(call: Call, file: Path, where: BackupCluster, said: str) -> None:
    code, out, _ = call(where, f"restore-deleted --file {file} --yes")
    assert code == 1 and said in out and out.endswith("nothing was created\n")
    assert not where.created


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (deleted(without="sbn-keys"), "note: Secret sbn-keys is gone: new keys are made, and everybody signs in anew"),
        (deleted().set(broken={"get secrets": "no rights"}), "note: Secrets can not be listed here"),
        (deleted().set(broken={"get namespace hub": "no rights"}), "  2 homes"),
        (deleted(home("", "claim-x")), "note: claim claim-x does not say whose home it is"),
    ],
)
def test_what_is_only_said(call: Call, file: Path, where: BackupCluster, said: str) -> None:
    code, out, err = call(where, f"restore-deleted --file {file} --yes")
    assert code == 0 and said in out, out + err
    assert where.created


def test_without_its_database(call: Call, file: Path) -> None:
    where = deleted(without="hub-db-dir")
    code, out, _ = call(where, f"restore-deleted --file {file} --yes --without-database")
    assert code == 0 and "note: claim hub-db-dir is gone" in out and where.created


def test_without_homes(call: Call, file: Path) -> None:
    where = deleted(without="claim-ada")
    del where.objects["claim", "hub", "claim-bela"]
    assert "note: no home is marked with pdshub.dev/hub=sbn" in call(where, f"restore-deleted -f {file} --yes")[1]


def test_a_namespace_that_is_gone(call: Call, file: Path) -> None:
    where = deleted()
    del where.objects["namespace", "", "hub"]
    code, _, err = call(where, f"restore-deleted --file {file} --yes")
    assert code == 1 and "namespace hub is gone: make it again with its labels" in err and not where.created


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("no\n", 1)])
def test_somebody_is_asked(call: Call, file: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    where = deleted()
    got, _, err = call(where, f"restore-deleted --file {file}")
    assert got == code and "PDSHub hub/sbn is created anew over what is left." in err
    assert bool(where.created) is not bool(code)


def without(path: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(SAVED))
    *parents, last = path.split(".")
    held = made
    for parent in parents:
        held = held[parent]
    del held[last]
    return made


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold one object of kind PDSHub, and holds none"),
        ("kind: ArchiveView\n", "must hold one object of kind PDSHub, and holds none"),
        (yaml.safe_dump_all([SAVED, SAVED]), "must hold one object of kind PDSHub, and holds 2"),
        ("a: [\n", "the file is no YAML"),
        (yaml.safe_dump(without("metadata.name")), "metadata.name: the name that the hub had is needed"),
        (
            yaml.safe_dump({**SAVED, "metadata": {"name": "--all"}}),
            "metadata.name: the name that the hub had is needed",
        ),
        (yaml.safe_dump(without("metadata.namespace")), "metadata.namespace: write the namespace that the hub was in"),
        (yaml.safe_dump(without("spec")), "spec: an object is needed"),
        (yaml.safe_dump(without("spec.signIn")), "signIn is missing"),
        (yaml.safe_dump({**SAVED, "spec": {**SAVED["spec"], "nonsense": 1}}), "spec.nonsense: Extra inputs are not"),
        ("x" * (5 << 20), "has more than 4 MB"),
        ("!!python/object/apply:os.system [id]\n", "the file is no YAML"),
    ],
)
def test_a_file_that_is_none(call: Call, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "f").write_text(text)
    where = deleted()
    code, out, err = call(where, f"restore-deleted --file {tmp_path / 'f'} --yes")
    assert (code, said in err) == (2, True), err
    assert not out and not where.created and not [line for line in where.calls if line[0] == "get"]


def test_a_file_that_can_not_be_read(call: Call, tmp_path: Path) -> None:
    code, _, err = call(deleted(), f"restore-deleted --file {tmp_path / 'none'}")
    assert code == 2 and "none: No such file or directory" in err


@pytest.mark.parametrize(
    ("namespace", "of_file", "found"),
    [("", "hub", "hub"), ("hub", "hub", "hub"), ("hub", None, "hub"), ("x", "hub", "")],
)
def test_the_namespace(namespace: str, of_file: str | None, found: str) -> None:
    meta = {"name": "sbn", **({"namespace": of_file} if of_file else {})}
    text = yaml.safe_dump({**SAVED, "metadata": meta})
    if found:
        made = left_behind.saved(text, namespace)
        assert made["metadata"] == {"name": "sbn", "namespace": found}
    else:
        with pytest.raises(UseError, match="a hub comes back where it was"):
            left_behind.saved(text, namespace)


def test_standard_input(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(SAVED)))
    assert call(deleted(), "restore-deleted --file - --dry-run")[0] == 0


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, []),
        (
            {"backup": {"repository": {"s3": {"secretRef": "s3-keys"}}}},
            [("spec.backup.repository.s3.secretRef", "s3-keys")],
        ),
        ({"backup": {"key": {"secretRef": {"name": "k", "key": "x"}}}}, [("spec.backup.key.secretRef", "k")]),
        ({"tls": {"secret": {"name": "t"}}}, [("spec.tls.secret", "t")]),
        ({"values": {"hub": {"secretRef": "x"}}}, []),
        (
            {"users": {"from": [{"configMap": {"name": "c"}}, {"secret": {"name": "s"}}]}},
            [("spec.users.from[1].secret", "s")],
        ),
        ({"a": {"secretRef": 7}, "b": [["x"]], "c": None}, []),
    ],
)
def test_secrets_that_a_spec_names(spec: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert left_behind.named_secrets(spec) == found


def test_answers_for_programs_are_stable(call: Call, file: Path) -> None:
    for where, line in ((deleted(), "--yes"), (deleted(), "--dry-run"), (deleted(without="names"), "--yes")):
        answer = json.loads(call(where, f"restore-deleted --file {file} {line} -o json")[1])
        assert set(answer) == {"hub", "dryRun", "created", "points"}
        assert all(set(point) == {"kind", "words"} for point in answer["points"])
        assert answer["created"] is bool(where.created)


def test_nothing_that_is_printed_acts(call: Call, file: Path) -> None:
    kind, claim = home(f"x{NASTY}", "claim-x", status={"phase": NASTY})
    claim["metadata"]["labels"] |= {"pdshub.dev/hub": "sbn"}
    where = deleted((kind, claim), ("claim", {**FOREIGN, "metadata": {**FOREIGN["metadata"],
                                              "labels": {"pdshub.dev/hub": NASTY}}}))  # fmt: skip
    _, out, err = call(where, f"restore-deleted --file {file} --yes")
    assert "claim-x" in out
    harmless(out)
    harmless(err)
