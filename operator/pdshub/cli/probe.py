"""``kubectl pdshub probe``: short-lived pods in each role try who reaches whom, beside what is declared."""

from __future__ import annotations

import argparse
import json
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError

from pdshub import network_rules, ports, rfc3339
from pdshub.api.s3_source import S3Source
from pdshub.archive.findings import printable
from pdshub.cli.archive import CliError, Said
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.probe_pods import Pods, ProbeError, Times
from pdshub.cli.reach import (
    CONTROL,
    FIXED,
    HUB,
    LISTER,
    PROXY,
    STRANGER,
    SURVEYOR,
    USER,
    Declared,
    Matrix,
    Target,
)
from pdshub.installation import Installation
from pdshub.wellknown import GROUP, MANAGER, PROBE_LABEL, PROBED

Json = dict[str, Any]
FOUND = 1
"""Exit code: something that is closed was reached."""
_OPERATOR = "app.kubernetes.io/name=pdshub,app.kubernetes.io/component=operator"
_SURVEYOR = "app.kubernetes.io/name=pdshub,app.kubernetes.io/component=surveyor"
_SERVER_PORT = 8888
MOST_TARGETS = 64
SYSTEM = "pdshub-system"
"""The namespace of the installation, where nobody says another."""


def target(text: str) -> Target:
    """``NAME=HOST:PORT`` of ``--target``. Raises argparse.ArgumentTypeError."""
    name, equals, where = text.partition("=")
    host, colon, port = where.rpartition(":")
    host = host.strip("[]")
    if not (name and equals and colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=HOST:PORT, like nas=192.0.2.7:2049")
    return Target(name[:40], host, int(port))


def arguments(sub: argparse.ArgumentParser) -> None:
    """The command line of ``probe``."""
    sub.add_argument("hub", metavar="NAMESPACE", help="the namespace of the hub")
    sub.add_argument(
        "--target", type=target, action="append", default=[], metavar="NAME=HOST:PORT",
        help="what is tried beside the rest; a name of the matrix replaces that line",
    )  # fmt: skip
    sub.add_argument("--control", default="", metavar="NAMESPACE", help="a pod here, which no policy may keep in, too")
    sub.add_argument("--image", default="", help="any with python3; default: the installation's")
    sub.add_argument("--record", action="store_true", help="keep the result: condition NetworkEnforced of the hub")
    sub.add_argument("--settle", type=float, default=Times.settle, metavar="SECONDS", help="before the first attempt")
    sub.set_defaults(run=run)


class _Desk:
    """What is read of the cluster before a probe; what may not be read is noted."""

    def __init__(self, kubectl: Kubectl, args: argparse.Namespace) -> None:
        self.kubectl, self.notes = kubectl, list[str]()
        hubs = kubectl.items(f"pdshubs.{GROUP}", "-n", args.hub)
        if not hubs:
            raise CliError(f"there is no PDSHub in namespace {args.hub}")
        self.hub = min(hubs, key=lambda item: str(item["metadata"].get("creationTimestamp", "")))
        # its own namespace and no other: elsewhere others may label what they like
        self.system = args.namespace or SYSTEM
        self.operator = self._tried("deployments.apps", "-n", self.system, "-l", _OPERATOR)
        self.installation = self._installation()
        containers = self.operator[0]["spec"]["template"]["spec"]["containers"] if self.operator else [{}]
        self.image = args.image or str(containers[0].get("image") or "")
        if not self.image:
            raise CliError(
                f"the installation's image is not known: say where PDSHub is with -n, if not in {SYSTEM}, or name one "
                f"with --image"
            )
        self.surveyors = self._surveyors()
        self.sources = self._sources()
        self.s3 = self._s3()

    def _tried(self, *what: str) -> list[Json]:
        try:
            return self.kubectl.items(*what)
        except KubectlError as error:
            self.notes.append(f"not read: {printable(str(error))[:200]}")
            return []

    def _installation(self) -> Installation | None:
        """The installation's settings; None where they cannot be read."""
        try:
            found = self.kubectl.get("configmap", "pdshub-installation", "-n", self.system)
            text = (found.get("data") or {}).get("installation.yaml") or ""
            return Installation.model_validate(yaml.safe_load(text) or {})
        except (KubectlError, ValidationError, yaml.YAMLError) as error:
            self.notes.append(f"network.privateRanges are not known: {printable(str(error))[:200]}")
            return None

    def _surveyors(self) -> str:
        """Where surveyors live, if a policy keeps them in; else empty."""
        where = (self.installation or Installation()).surveyor.namespace
        return where if self._tried("networkpolicies.networking.k8s.io", "-n", where, "-l", _SURVEYOR) else ""

    @property
    def private(self) -> list[str]:
        """What the installation closes beside what always is."""
        return self.installation.private_ranges if self.installation else []

    def _pod(self, name: str, port: int, kind: str, *chosen: str) -> list[Target]:
        for item in self._tried("pods", *chosen):
            status, labels = item.get("status") or {}, item["metadata"].get("labels") or {}
            if status.get("phase") == "Running" and status.get("podIP") and PROBE_LABEL not in labels:
                return [Target(name, str(status["podIP"]), port, kind)]
        return []

    def targets(self, given: list[Target]) -> list[Target]:
        """What is tried: what every cluster has, the hub's own parts, its NAS and S3, and what the caller names."""
        where = ("-n", str(self.hub["metadata"]["namespace"]))
        found = [
            *FIXED,
            *self._pod("hub", 8081, "hub", *where, "-l", "component=hub"),
            *self._pod("proxy", 8000, "proxy", *where, "-l", "component=proxy"),
            *self._pod("proxy API", 8001, "proxy-api", *where, "-l", "component=proxy"),
            *self._nas(),
            *self.s3,
        ]
        if self.surveyors:
            found += self._pod("surveyor", ports.SURVEYOR, "surveyor", "-n", self.surveyors, "-l", _SURVEYOR)
        if self.operator:
            found += self._pod("operator", ports.OPERATOR_HEALTH, "operator", "-n", self.system, "-l", _OPERATOR)
        named = {one.name: one for one in given}
        kept = [self._replaced(one, named.pop(one.name, one)) for one in found]
        return [*kept, *named.values()][:MOST_TARGETS]

    @staticmethod
    def _replaced(one: Target, by: Target) -> Target:
        return Target(one.name, by.host, by.port, one.kind)

    def _sources(self) -> list[Json]:
        """The sources of the hub's archive."""
        archive = (self.hub.get("spec") or {}).get("archive") or {}
        view = archive.get("inline") or {}
        if name := archive.get("viewRef"):
            items = [i for i in self._tried(f"archiveviews.{GROUP}") if i["metadata"]["name"] == name]
            view = (items[0].get("spec") or {}) if items else {}
        return list(view.get("sources") or [])

    def _nas(self) -> list[Target]:
        """NFS servers of the hub's archive."""
        servers = [str((source.get("nfs") or {}).get("server") or "") for source in self.sources]
        return [
            Target(_numbered("NAS", number), server.strip("[]"), ports.NFS, "nas")
            for number, server in enumerate(list(dict.fromkeys(filter(None, servers)))[:8])
        ]

    def _s3(self) -> list[Target]:
        """Services of S3 of the hub's archive: to whom they are open is said by their addresses."""
        found: dict[tuple[str, int], None] = {}
        for source in self.sources:
            try:
                if source.get("s3"):
                    found[_place(S3Source.model_validate(source["s3"]).url)] = None
            except ValueError as error:
                name = printable(str(source.get("name")))[:63]
                self.notes.append(f"source {name} is not tried: {type(error).__name__}")
        return [Target(_numbered("S3", number), *at) for number, at in enumerate(list(found)[:8])]

    @property
    def buckets(self) -> list[tuple[int, list[str]]]:
        """Port and ranges of each rule of archive.buckets."""
        rules = self.installation.archive.buckets if self.installation else []
        return [(_place(rule.endpoint)[1], rule.ranges) for rule in rules]


def _numbered(name: str, number: int) -> str:
    return name if number == 0 else f"{name} {number + 1}"


def _place(url: str) -> tuple[str, int]:
    """Host and port of a URL. Raises ValueError."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)


@contextmanager
def _ended_is_interrupted() -> Iterator[None]:
    """SIGTERM ends like Ctrl-C: what was made is taken away first."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``probe``; code 1 where something that is closed was reached. Raises CliError, KubectlError."""
    desk = _Desk(kubectl, args)
    release = str(desk.hub["metadata"]["name"])
    declared = Declared.of(desk.hub.get("spec") or {}, desk.private, desk.buckets)
    targets = desk.targets(args.target)
    pods = Pods(kubectl, secrets.token_hex(3), desk.image, release, Times(settle=max(0.0, min(args.settle, 60.0))))
    roles = {role: args.hub for role in (USER, HUB, PROXY, STRANGER)}
    if desk.surveyors:
        roles[SURVEYOR] = desk.surveyors
        if desk.s3 and desk.installation:
            roles[LISTER] = desk.surveyors
    if args.control:
        roles[CONTROL] = args.control
    try:
        with _ended_is_interrupted():
            address = pods.neighbour(args.hub, _SERVER_PORT)
            targets.append(Target("another server", address, _SERVER_PORT, "server"))
            for role, namespace in roles.items():
                pods.create(role, namespace, pods.times.asked(targets))
            found = pods.answers(roles)
    except ProbeError as error:
        raise CliError(str(error)) from error
    finally:
        desk.notes += pods.remove(roles.values())
    matrix = Matrix(targets, declared, found, desk.notes)
    answer = {**matrix.wire(), "hub": f"{args.hub}/{release}", "at": rfc3339.now()}
    text = matrix.text()
    if args.record:
        _record(desk, args.hub, matrix, answer["at"])
        text += f"\nkept: condition NetworkEnforced of {args.hub}/{release}"
    return answer, text, FOUND if matrix.reached else 0


def _record(desk: _Desk, namespace: str, matrix: Matrix, at: str) -> None:
    """Keeps the result where only who administers the installation may write. Raises KubectlError."""
    chosen = f"{GROUP}/hub={desk.hub['metadata']['name']},app.kubernetes.io/managed-by={MANAGER}"
    policies = desk.kubectl.items("networkpolicies.networking.k8s.io", "-n", namespace, "-l", chosen)
    said = {
        "at": at,
        "by": desk.kubectl.whoami(),
        "policies": network_rules.policies_digest({item["metadata"]["name"]: item["spec"] for item in policies}),
        "reached": matrix.reached[:8],
        "unproven": matrix.unproven,
    }
    # the label is that by which the operator watches
    labels = {"app.kubernetes.io/managed-by": MANAGER, "app.kubernetes.io/component": "probe"}
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": PROBED, "namespace": desk.system, "labels": labels},
        "data": {namespace: json.dumps(said, separators=(",", ":"))},
    }
    where = ("-n", desk.system)
    if any(item["metadata"]["name"] == PROBED for item in desk.kubectl.items("configmaps", *where)):
        desk.kubectl.run("patch", "configmap", PROBED, *where, "--type=merge", "-p", json.dumps({"data": body["data"]}))
    else:
        desk.kubectl.run("create", "-f", "-", stdin=json.dumps(body))
