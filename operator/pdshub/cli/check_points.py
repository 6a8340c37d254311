"""Whether PDSHub can be installed in a cluster, as far as its API server tells: each point with what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pdshub.api import provisioners
from pdshub.cli import words

Json = Mapping[str, Any]
Mark = Literal["ok", "warning", "failed"]
OLDEST, POLICIES = (1, 29), (1, 30)
"""Kubernetes: the oldest (docs/install.md), and the first with admission policies that PDSHub's chart brings."""
CATALOG, MERGED = (6, 5), (5, 12)
"""Kernels of the forms catalog and catalog-merged (docs/install.md, Kernels)."""
GROUPS: Mapping[str, str] = {
    "apps/v1": "", "batch/v1": "", "rbac.authorization.k8s.io/v1": "", "networking.k8s.io/v1": "",
    "storage.k8s.io/v1": "", "scheduling.k8s.io/v1": "", "apiextensions.k8s.io/v1": "", "discovery.k8s.io/v1": "",
}  # fmt: skip
"""API versions without which nothing goes."""
ENGINES: Mapping[str, str] = {
    "calico-node": "Calico", "canal": "Calico", "cilium": "Cilium", "antrea-agent": "Antrea",
    "kube-router": "kube-router", "kindnet": "kindnet", "weave-net": "Weave Net", "ovnkube-node": "OVN-Kubernetes",
    "ovs-ovn": "Kube-OVN",
    "azure-npm": "Azure NPM", "aws-node": "Amazon VPC CNI", "kube-network-policies": "kube-network-policies",
    "anetd": "GKE Dataplane V2",
}  # fmt: skip
"""DaemonSets of what enforces NetworkPolicies."""
DEAF = ("kube-flannel-ds", "kube-flannel", "flannel")
"""Those of network plugins that enforce none by themselves."""
LATER = "after the first hub: kubectl pdshub probe NAMESPACE"


@dataclass(frozen=True)
class Point:
    """One thing that was looked at. ``fix``: what to do; "" where nothing is."""

    mark: Mark
    what: str
    words: str
    fix: str = ""

    def wire(self) -> dict[str, Any]:
        """The same for programs. Keys are always the same."""
        return {"result": self.mark, "what": self.what, "words": self.words, "fix": self.fix or None}

    @property
    def line(self) -> str:
        """The same for people."""
        return f"{self.mark:<8} {self.what + ':':<16} {self.words}" + (f"; {self.fix}" if self.fix else "")


def version(text: str) -> tuple[int, int] | None:
    """Major and minor of a version like v1.34.2, 6.12.0-amd64 or 1.29+; None where it is none."""
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})", text)
    return (int(found[1]), int(found[2])) if found else None


def kubernetes(text: str | None) -> Point:
    """The API server's version."""
    known = version(text or "")
    if known is None:
        return Point("warning", "Kubernetes", "its version is not known", "kubectl version")
    if known < OLDEST:
        return Point("failed", "Kubernetes", f"{text} is older than 1.29", "upgrade the cluster")
    if known < POLICIES:
        return Point("warning", "Kubernetes", f"{text} has no ValidatingAdmissionPolicy: bounds of accounts are looser",
                     "1.30 or newer has them (docs/security.md)")  # fmt: skip
    return Point("ok", "Kubernetes", str(text))


def apis(served: Iterable[str] | None) -> list[Point]:
    """API versions, as kubectl api-versions lists them."""
    if served is None:
        return [Point("warning", "API versions", "not read", "kubectl api-versions")]
    there = set(served)
    missing = sorted(set(GROUPS) - there)
    found = [Point("failed", "API versions", f"{', '.join(missing)} not served", "enable them at the API server")]
    points = found if missing else [Point("ok", "API versions", f"all {len(GROUPS)} are served")]
    if "snapshot.storage.k8s.io/v1" not in there:
        points.append(Point("ok", "snapshots", "no VolumeSnapshots: backups read homes in use, or checkpoints"))
    return points


def rights(asked: Sequence[tuple[str, bool | None]]) -> list[Point]:
    """(right in words, whether it is granted; None: not told) of the SelfSubjectAccessReviews."""
    denied = [what for what, allowed in asked if allowed is False]
    unknown = [what for what, allowed in asked if allowed is None]
    points = [Point("failed", "rights", f"you may not {what}", "an administrator of the cluster installs PDSHub")
              for what in denied]  # fmt: skip
    points += [Point("warning", "rights", f"whether you may {what} is not told", f"kubectl auth can-i {what}")
               for what in unknown]  # fmt: skip
    return points or [Point("ok", "rights", f"you have all {len(asked)} that the installation asks for")]


def storage(classes: Sequence[Json] | None) -> list[Point]:
    """StorageClasses: a default one, whether it holds volumes to their size, grows them, waits for the pod."""
    if classes is None:
        return [Point("warning", "storage", "StorageClasses are not read", "kubectl get storageclass")]
    default = [one for one in classes if provisioners.is_default(one)]
    if not classes:
        return [
            Point(
                "failed",
                "storage",
                "there is no StorageClass",
                "install a CSI driver, or homes.enabled (docs/storage.md)",
            )
        ]
    names = ", ".join(str(one["metadata"]["name"]) for one in classes[:10])
    if not default:
        return [Point("failed", "storage", f"no StorageClass is the default; there are {names}",
                      "annotate one storageclass.kubernetes.io/is-default-class=true, or name one for homes, databases,"
                      " surveyors and the audit log")]  # fmt: skip
    points = []
    if len(default) > 1:
        points.append(Point("warning", "storage", f"{len(default)} StorageClasses are the default", "leave one"))
    return [*points, *_class(default[0])]


def _class(found: Json) -> list[Point]:
    name, provisioner = found["metadata"]["name"], str(found.get("provisioner") or "")
    held = provisioners.holds_to_size(provisioner)
    points = [{
        True: Point("ok", "storage", f"{name} ({provisioner}) holds volumes to their size"),
        False: Point("warning", "storage", f"{name} ({provisioner}) does not: one home can fill the disk",
                     "storage with quotas, or homes.enabled (docs/storage.md)"),
        None: Point("warning", "storage", f"whether {name} ({provisioner}) holds volumes to their size is not known",
                    "say it in defaults.enforcesHomeSize"),
    }[held]]  # fmt: skip
    if found.get("allowVolumeExpansion") is not True:
        points.append(Point("warning", "storage", f"{name} can not grow volumes: a larger home is a copy",
                            "allowVolumeExpansion: true where the driver can"))  # fmt: skip
    return points


def network(daemon_sets: Sequence[Json] | None) -> Point:
    """What enforces NetworkPolicies, by the DaemonSets of the cluster."""
    if daemon_sets is None:
        return Point("warning", "network", "DaemonSets are not read, so what enforces policies is not known", LATER)
    names = {str(one["metadata"]["name"]) for one in daemon_sets}
    known = sorted({title for name, title in ENGINES.items() if name in names})
    if known == ["Amazon VPC CNI"]:
        return Point("warning", "network", "Amazon VPC CNI enforces policies only if it is told to",
                     "enableNetworkPolicy in strict mode (docs/aws.md)")  # fmt: skip
    if known:
        return Point("ok", "network", f"{', '.join(known)} enforces NetworkPolicies; {LATER} tries it")
    if deaf := names & set(DEAF):
        return Point("failed", "network", f"{', '.join(sorted(deaf))} enforces no NetworkPolicies: servers reach all "
                     "your network", "install kube-network-policies, Calico or Cilium")  # fmt: skip
    return Point("warning", "network", "no engine that is known enforces NetworkPolicies", LATER)


def nodes(found: Sequence[Json] | None) -> list[Point]:
    """Nodes: ready, Linux, their kernels and processors."""
    if found is None:
        return [Point("warning", "nodes", "not read", "kubectl get nodes -o wide")]
    linux = [one for one in found if _info(one, "operatingSystem") in ("linux", "")]
    if not linux:
        return [Point("failed", "nodes", "there is no Linux node", "add one")]
    points = []
    away = [str(one["metadata"]["name"]) for one in linux if words.condition(one, "Ready").get("status") != "True"]
    if away:
        mark: Mark = "failed" if len(away) == len(linux) else "warning"
        points.append(Point(mark, "nodes", f"not ready: {_some(away)}", f"kubectl describe node {away[0]}"))
    other = [str(one["metadata"]["name"]) for one in linux if _info(one, "architecture") not in ("amd64", "")]
    if other:
        points.append(Point("warning", "nodes", f"not amd64, on which alone PDSHub was run: {_some(other)}",
                            "build images for them, or keep hubs off them by nodeSelector"))  # fmt: skip
    if not points:
        points.append(Point("ok", "nodes", f"{len(linux)} ready"))
    return [*points, *_kernels(linux)]


def _kernels(linux: Sequence[Json]) -> list[Point]:
    by_form: dict[str, list[str]] = {}
    for node in linux:
        known = version(_info(node, "kernelVersion"))
        form = (
            "unknown" if known is None else "catalog" if known >= CATALOG else "merged" if known >= MERGED else "live"
        )
        by_form.setdefault(form, []).append(f"{node['metadata']['name']} ({_info(node, 'kernelVersion')[:60]})")
    told = {
        "catalog": ("ok", "6.5 or newer: form catalog, if they have EROFS", ""),
        "merged": ("warning", "5.12 to 6.4: form catalog-merged, stat asks the NAS", "6.5 or newer is better"),
        "live": ("failed", "older than 5.12: no catalogs", "a newer kernel, or form: live in each view"),
        "unknown": ("warning", "their kernel is not told", "kubectl get nodes -o wide"),
    }
    return [
        Point(mark, "kernel", f"{_some(by_form[form])}: {text}", fix)  # type: ignore[arg-type]
        for form, (mark, text, fix) in told.items() if form in by_form
    ]  # fmt: skip


def _info(node: Json, key: str) -> str:
    return str((((node.get("status") or {}).get("nodeInfo")) or {}).get(key) or "")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def reached(what: str, views: Sequence[Json] | None, chosen: Callable[[Json], bool]) -> list[Point]:
    """Whether every node reaches the sources that are ``chosen`` by what their view writes; nothing without one."""
    tried, points = False, list[Point]()
    for view in views or ():
        name = view["metadata"]["name"]
        written = {one.get("name"): one for one in (view.get("spec") or {}).get("sources") or []}
        for source in (view.get("status") or {}).get("sources") or []:
            if not chosen(written.get(source.get("name")) or {}):
                continue
            tried = True
            if source.get("ready") is not True:
                where = f"{name}, source {source.get('name')}"
                points.append(Point("failed", what, f"{where}: {source.get('message') or 'not reached'}",
                                    f"kubectl pdshub archive status {name}"))  # fmt: skip
    return points or ([Point("ok", what, "every node reaches every source of every view")] if tried else [])


def nfs(views: Sequence[Json] | None, allowed: Sequence[str]) -> list[Point]:
    """Whether nodes reach the NAS. The API server can tell it only once a view says it.

    ``allowed``: NFS servers that the installation allows; none before it is installed.
    """
    if found := reached("NFS", views, lambda source: not source.get("s3")):
        return found
    server = allowed[0] if allowed else "NAS"
    return [Point("warning", "NFS", "whether nodes reach the NAS, and have an NFS client, no API server tells",
                  f"on a node: nc -vz {server} 2049; modprobe nfsv4 erofs")]  # fmt: skip


def privileged(namespace: Json | None, name: str) -> Point:
    """Whether the installation's namespace lets the node plugin in."""
    if namespace is None:
        return Point("warning", "namespace", f"{name} is not there",
                     f"kubectl create namespace {name}; kubectl label namespace {name} "
                     "pod-security.kubernetes.io/enforce=privileged")  # fmt: skip
    admit = "pod-security.kubernetes.io/enforce=privileged"
    level = (namespace["metadata"].get("labels") or {}).get("pod-security.kubernetes.io/enforce")
    if level in ("restricted", "baseline"):
        return Point("failed", "namespace", f"{name} enforces {level}: no node plugin there",
                     f"kubectl label --overwrite namespace {name} {admit}")  # fmt: skip
    if level is None:
        return Point("warning", "namespace", f"{name} does not say that it admits privileged pods",
                     f"kubectl label namespace {name} {admit}")  # fmt: skip
    return Point("ok", "namespace", f"{name} admits the node plugin")


def drivers(taken: Sequence[Json] | None, release: str) -> Point | None:
    """Whether the CSI driver's name is free, or this installation's."""
    for one in taken or ():
        notes = one["metadata"].get("annotations") or {}
        whose = notes.get("meta.helm.sh/release-namespace")
        if whose != release:
            where = whose or "no namespace that Helm knows"
            return Point("failed", "installed", f"CSIDriver {one['metadata']['name']} is of an installation in {where}",
                         "a cluster has one PDSHub: upgrade that one")  # fmt: skip
        return Point("ok", "installed", f"PDSHub is installed in {release} already: this is a look before an upgrade")
    return None
