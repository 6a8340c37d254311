"""``kubectl pdshub check``: a cluster -> points, each with what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from pdshub.cli import check, check_buckets, check_points
from pdshub.cli.kubectl import KubectlError
from tests.unit.cli.day_two_cluster import DayTwoCluster, node
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless

ALL = [*check_points.GROUPS, "v1", "snapshot.storage.k8s.io/v1"]
NOT_READY = {"type": "Ready", "status": "False"}


def storage_class(
    name: str = "fast", provisioner: str = "ebs.csi.aws.com", *, default: bool = True, grows: bool = True
) -> Any:
    notes = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": notes}, "provisioner": provisioner, "allowVolumeExpansion": grows}


def named(*names: str) -> list[Any]:
    return [{"metadata": {"name": name}} for name in names]


def marks(points: Any) -> list[str]:
    return [point.mark for point in (points if isinstance(points, list) else [points])]


@pytest.mark.parametrize(
    ("points", "expected", "words"),
    [
        (check_points.kubernetes("v1.34.2"), ["ok"], "v1.34.2"),
        (check_points.kubernetes("v1.29.0+k3s1"), ["warning"], "ValidatingAdmissionPolicy"),
        (check_points.kubernetes("v1.28.9"), ["failed"], "older than 1.29"),
        (check_points.kubernetes(""), ["warning"], "not known"),
        (check_points.apis(ALL), ["ok"], "are served"),
        (check_points.apis(["v1"]), ["failed", "ok"], "apps/v1"),
        (check_points.apis(None), ["warning"], "not read"),
        (check_points.rights([("create pods", True)]), ["ok"], "all 1"),
        (check_points.rights([("create pods", False), ("create x", None)]), ["failed", "warning"], "you may not"),
        (check_points.storage([storage_class()]), ["ok"], "holds volumes to their size"),
        (check_points.storage([storage_class(provisioner="rancher.io/local-path", grows=False)]),
         ["warning", "warning"], "one home can fill the disk"),
        (check_points.storage([storage_class(provisioner="x.y")]), ["warning"], "defaults.enforcesHomeSize"),
        (check_points.storage([storage_class("a"), storage_class("b")]), ["warning", "ok"], "2 StorageClasses"),
        (check_points.storage([storage_class(default=False)]), ["failed"], "is-default-class=true"),
        (check_points.storage([]), ["failed"], "no StorageClass"),
        (check_points.storage(None), ["warning"], "not read"),
        (check_points.network(named("kube-proxy", "cilium")), ["ok"], "Cilium"),
        (check_points.network(named("kube-flannel-ds")), ["failed"], "enforces no NetworkPolicies"),
        (check_points.network(named("kube-flannel-ds", "calico-node")), ["ok"], "Calico"),
        (check_points.network(named("aws-node")), ["warning"], "strict mode"),
        (check_points.network(named("kube-proxy")), ["warning"], "kubectl pdshub probe"),
        (check_points.network(None), ["warning"], "not read"),
        (check_points.nodes([node()[1]]), ["ok", "ok"], "6.5 or newer"),
        (check_points.nodes([node(kernel="6.1.0-28-amd64")[1]]), ["ok", "warning"], "catalog-merged"),
        (check_points.nodes([node(kernel="5.4.0")[1], node("n2")[1]]), ["ok", "ok", "failed"], "form: live"),
        (check_points.nodes([node(kernel="what")[1]]), ["ok", "warning"], "is not told"),
        (check_points.nodes([node("n1", NOT_READY)[1]]), ["failed", "ok"], "not ready: n1"),
        (check_points.nodes([node("n1", NOT_READY)[1], node("n2")[1]]), ["warning", "ok"], "kubectl describe node n1"),
        (check_points.nodes([]), ["failed"], "no Linux node"),
        (check_points.nodes(None), ["warning"], "not read"),
        (check_points.nfs(None, []), ["warning"], "nc -vz NAS 2049"),
        (check_points.nfs([], ["nas.example.org"]), ["warning"], "nc -vz nas.example.org 2049"),
        (check_points.nfs([{"metadata": {"name": "v"}, "status": {"sources": [{"name": "m", "ready": True}]}}], []),
         ["ok"], "every source"),
        (check_points.nfs([{"metadata": {"name": "v"}, "status": {"sources": [
            {"name": "m", "ready": False, "message": "Connection refused"}]}}], []), ["failed"], "Connection refused"),
        (check_points.privileged(None, "s"), ["warning"], "kubectl create namespace s"),
        (check_points.privileged({"metadata": {}}, "s"), ["warning"], "does not say"),
        (check_points.privileged({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}, "s"),
         ["failed"], "enforces restricted"),
        (check_points.privileged({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}, "s"),
         ["ok"], "admits"),
    ],
)  # fmt: skip
def test_points(points: Any, expected: list[str], words: str) -> None:
    assert marks(points) == expected
    listed = points if isinstance(points, list) else [points]
    assert words in " ".join(point.line for point in listed)
    assert all(point.fix for point in listed if point.mark != "ok"), "each that is not ok has a fix"


RULE: dict[str, Any] = {"bucket": "pds-sbn", "secrets": ["sbn"]}
LOCAL = {**RULE, "endpoint": "https://10.1.2.3:7070"}
BOTH = frozenset(check_buckets.KEYS)


def view(ready: bool = True) -> Any:
    sources = [{"name": "main", "s3": {"bucket": "pds-sbn"}}, {"name": "nas", "nfs": {"server": "nas"}}]
    told = [{"name": "main", "ready": ready, "message": "refuses the keys"}, {"name": "nas", "ready": True}]
    return {"metadata": {"name": "v"}, "spec": {"sources": sources}, "status": {"sources": told}}


@pytest.mark.parametrize(
    ("views", "rules", "held", "expected", "words"),
    [
        ([], [], {}, [], ""),
        ([], [RULE], {"sbn": BOTH}, ["ok", "warning"], "curl -sSI https://s3.amazonaws.com"),
        ([view()], [RULE], {"sbn": BOTH}, ["ok", "ok"], "every node reaches every source"),
        ([view()], [RULE], {}, ["ok", "ok"], "1 allowed"),
        ([view(ready=False)], [RULE], {"sbn": BOTH}, ["ok", "failed"], "v, source main: refuses the keys"),
        ([view()], [RULE], {"sbn": None}, ["failed", "ok"], "Secret sbn of namespace surveys is not there"),
        ([view()], [RULE], {"sbn": frozenset({"access-key-id"})}, ["failed", "ok"], "has no key secret-access-key"),
        ([view()], [RULE], {"sbn": frozenset({"ca.crt"})}, ["ok", "ok"], "nothing that they name is missing"),
        ([view()], [{"bucket": "pds"}], {}, ["failed", "ok"], "neither secrets nor podIdentity"),
        ([view()], [{"bucket": "pds", "podIdentity": True}], {}, ["ok", "ok"], "1 allowed"),
        ([view()], [LOCAL], {}, ["failed", "ok"], "ranges: [10.1.2.3/32]"),
        ([view()], [{**LOCAL, "ranges": ["10.1.2.0/24"]}], {}, ["ok", "ok"], "1 allowed"),
        ([view()], [{**RULE, "endpoint": "http://s3.example.org"}], {}, ["warning", "ok", "ok"], "reads along"),
    ],
)  # fmt: skip
def test_buckets(views: Any, rules: Any, held: Any, expected: list[str], words: str) -> None:
    points = check_buckets.points(views, rules, held, "surveys")
    assert marks(points) == expected
    assert words in " ".join(point.line for point in points)
    assert all(point.fix for point in points if point.mark != "ok")


def test_a_source_in_s3_is_no_nas() -> None:
    (point,) = check_points.nfs([view(ready=False)], [])
    assert (point.mark, point.what) == ("ok", "NFS")


@pytest.mark.parametrize(
    ("where", "mark"), [("pdshub-system", "ok"), ("elsewhere", "failed"), (None, "failed")], ids=str
)
def test_another_installation(where: str | None, mark: str) -> None:
    notes = {"meta.helm.sh/release-namespace": where} if where else {}
    point = check_points.drivers([{"metadata": {"name": "archive.pdshub.dev", "annotations": notes}}], "pdshub-system")
    assert point and point.mark == mark
    assert check_points.drivers([], "pdshub-system") is None


def cluster() -> DayTwoCluster:
    found = DayTwoCluster(
        node(), ("class", storage_class()), ("daemonset", {"metadata": {"name": "kindnet", "namespace": "x"}}),
    )  # fmt: skip
    return found.set(versions=ALL)  # type: ignore[return-value]


def test_a_look_at_a_cluster(call: Call) -> None:
    code, out, err = call(cluster(), "check")
    assert code == 0 and "0 failed" in out, out + err
    answer = json.loads(call(cluster(), "check -o json")[1])
    assert {point["result"] for point in answer["points"]} == {"ok", "warning"} and answer["failed"] == 0


class WithBuckets(DayTwoCluster):
    """An installation that allows a bucket; of a Secret the names of its keys are told, and nothing else."""

    def run(self, *arguments: str, seconds: float | None = 60.0, stdin: str = "") -> str:
        if arguments[:2] == ("get", "secret"):
            assert arguments[3:5] == ("-n", "surveys") and arguments[-1] == check.NAMES
            if arguments[2] == "sbn":
                return "access-key-id secret-access-key "
            raise KubectlError(f'secrets "{arguments[2]}" not found' if arguments[2] == "gone" else "forbidden" + NASTY)
        return super().run(*arguments, seconds=seconds, stdin=stdin)


@pytest.mark.parametrize(
    ("secret", "code", "words"), [("sbn", 0, "1 allowed"), ("gone", 1, "is not there"), ("closed", 0, "not read")]
)
def test_buckets_that_are_allowed(call: Call, secret: str, code: int, words: str) -> None:
    settings = {"archive": {"buckets": [{**RULE, "secrets": [secret, "--all"]}]}, "surveyor": {"namespace": "surveys"}}
    notes = {"meta.helm.sh/release-namespace": "pdshub-system"}
    meta = {"name": "pdshub-installation", "namespace": "pdshub-system"}
    where = WithBuckets(
        node(), ("class", storage_class()), ("daemonset", {"metadata": {"name": "kindnet", "namespace": "x"}}),
        ("csidriver", {"metadata": {"name": "archive.pdshub.dev", "annotations": notes}}),
        ("configmap", {"metadata": meta, "data": {"installation.yaml": yaml.safe_dump(settings)}}),
    )  # fmt: skip
    where.set(versions=ALL)
    found, out, _ = call(where, "check")
    assert found == code and words in out, out
    harmless(out)


def test_who_may_not_install(call: Call) -> None:
    where = cluster().set(allowed=lambda asked: asked["resource"] != "clusterroles")
    code, out, _ = call(where, "check")  # type: ignore[arg-type]
    assert code == 1 and "you may not create clusterroles.rbac.authorization.k8s.io" in out
    assert "you may not escalate clusterroles" in out and "2 failed" in out


def test_rights_that_are_not_told(call: Call) -> None:
    where = cluster().set(allowed=lambda asked: None)
    code, out, _ = call(where, "check")  # type: ignore[arg-type]
    assert code == 0 and "kubectl auth can-i create" in out


def test_an_api_server_that_is_away(call: Call) -> None:
    class Away(DayTwoCluster):
        def run(self, *arguments: str, **_: Any) -> str:
            raise KubectlError("connection refused")

    code, out, err = call(Away(), "check")
    assert (code, out) == (1, "") and "connection refused" in err


@pytest.mark.parametrize("closed", ["get nodes", "get storageclasses", "get daemonsets.apps", "get namespace"])
def test_what_may_not_be_read_is_a_warning(call: Call, closed: str) -> None:
    where = cluster()
    where.broken[closed] = "forbidden" + NASTY
    code, out, _ = call(where, "check")
    assert code == 0 and "note: " in out
    harmless(out)


def test_the_rights_are_those_of_the_chart() -> None:
    """A kind that the chart makes, and of which nobody is asked whether they may, is one too few."""
    from pathlib import Path

    templates = Path(__file__).resolve().parents[3] / "charts/pdshub/templates"
    kinds = {
        line.split()[1].lower() for file in templates.glob("*.yaml") for line in file.read_text().splitlines()
        if line.startswith("kind: ")
    }  # fmt: skip
    singular = {resource.removesuffix("s") for _, _, resource, _ in check.RIGHTS} | {"validatingadmissionpolicy"}
    singular |= {"networkpolicy", "priorityclass"}
    others = {"clusterrolebinding", "rolebinding", "validatingadmissionpolicybinding", "storageclass", "resourcequota"}
    wanted = yaml.safe_load((templates.parent / "values.yaml").read_text())["monitoring"]
    for kind, value in {"podmonitor": "podMonitors", "prometheusrule": "rules"}.items():
        if wanted[value] is False:  # made where somebody asks for it: who does not, needs no right
            others.add(kind)
    assert kinds - singular - others == set()
