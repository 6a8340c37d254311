"""PDSHub on the cluster: operator and node plugin by Helm, a demo hub, and a first notebook."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import cluster, code, figures
from .app_images import IN_CLUSTER, surroundings
from .artefact import digest, files_digest
from .console import say
from .run import StepFailed, output, run
from .settings import CHART, ROOT, TEST_CHARTS, Paths
from .steps import Step
from .venv import venv

if TYPE_CHECKING:
    from .world import World

SYSTEM = figures.SYSTEM
DEMO = "demo"
CHART_DIR = ROOT / "charts" / "pdshub"
SAMPLE = ROOT / "manifests" / "samples" / "demo.yaml"
SAMPLE_NAS = "nas.example.org"
HOMES_CLASS = "pdshub-homes"
SAMPLE_HOME = ("home: {size: 1Gi}", f"home: {{size: 1Gi, storageClassName: {HOMES_CLASS}}}")
"""What the sample says of homes, and what it says here: the cluster's default class has no sizes."""
FIRST_NOTEBOOK = ROOT / "hack" / "lib" / "first_notebook.py"
USER = "ada"


SIGN_IN_PORT = 18085
"""Where end-to-end tests run a sign-in service on this machine."""


def sign_in_for_tests() -> dict[str, Any]:
    """``signIn.google``: browsers reach that service here, hubs by a Service that the tests make."""
    there = f"http://sign-in.e2e-google.svc.cluster.local:{SIGN_IN_PORT}"
    return {
        "authorizeUrl": f"http://127.0.0.1:{SIGN_IN_PORT}/o/oauth2/v2/auth",
        "tokenUrl": f"{there}/oauth2/v4/token",
        "userdataUrl": f"{there}/oauth2/v1/userinfo",
        "ranges": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
        "allowHttp": True,
    }


def values(world: World, images: Mapping[str, str]) -> dict[str, Any]:
    """Values of charts/pdshub for this cluster: ``images`` by name, the NAS as the one allowed server."""
    source = "Repository" if world.registry else "Airgap"
    chart = {"source": source, "version": CHART, "allowedRepositories": [TEST_CHARTS]}
    named = {n: images.get(n, "") for n in ("hub", "proxy", "user", "door")}
    return {
        "image": images["operator"],
        "imagePullPolicy": "IfNotPresent",
        "defaults": {"chart": chart, "images": named, "imagePullPolicy": "IfNotPresent"},
        "archive": {
            "allowed": [{"server": world.nas_ip, "exports": ["/pds-main", "/pds-mission"], "runAs": [1000, "users"]}],
            "allowedLocalPrefixes": ["/srv/archive"],
        },
        "signIn": {"google": sign_in_for_tests()},
        # a CA of the tests runs on this machine (tests/e2e/test_67_door.py)
        "network": {"acmeRanges": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]},
        # and a service of S3 (tests/e2e/test_73_backup.py)
        "backup": {"ranges": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]},
        # hack/test --chart: a chart repository that is a pod of the cluster
        "operator": {"extraEgress": [{"ports": [{"port": 8000, "protocol": "TCP"}]}]},
        # homes of tests are many, small and nearly empty, and the machine's disk is not theirs alone
        "homes": {"enabled": True, "overcommit": 4},
    }


def steps(world: World, *, demo: bool) -> list[Step]:
    """Steps after the cluster; those whose parts are not there yet say so and are left out."""
    missing = [n for n in IN_CLUSTER if not (ROOT / "images" / n / "Dockerfile").exists()]
    if not CHART_DIR.exists() or missing:
        say(f"operator: skipped, not there yet: {' '.join(missing) or CHART_DIR.name}")
        return []
    made = [Step("operator", "cluster", lambda: operator(world), ("facts", "load images"))]
    if demo and SAMPLE.exists():
        made.append(Step("demo hub", "cluster", lambda: demo_hub(world), ("operator",)))
        made.append(Step("first notebook", "cluster", lambda: first_notebook(world), ("demo hub",)))
    return made


def operator(world: World) -> bool:
    """Install or upgrade the chart and wait for its pods; False when this very release is there already.

    It is asked what the workloads run: hack/dev gives them newer images without a new release.
    """
    paths, wanted = world.paths, values(world, world.images)
    helm = helm_command(paths)
    is_deployed = is_released(paths, wanted) and output([*helm, "list", "--short", "--deployed"])
    if is_deployed and set(workload_images(paths).values()) == {world.images["operator"]}:
        return False
    _forget_former_class(world)
    file = paths.cluster / "values.json"
    file.write_text(_text(wanted))
    run(
        [
            *(*helm, "upgrade", "--install", "pdshub", CHART_DIR, "--create-namespace", "--values", file),
            *("--wait", "--timeout", "180s"),
        ]
    )
    _renew_helper(world)
    _marker(paths).write_text(_key(wanted))
    code.remember(paths, world.images["operator"], code.digests(surroundings(world.base_ref)))
    return True


def _forget_former_class(world: World) -> None:
    """Clusters of before have a class of this name over local-path; Helm takes over nothing that it did not make."""
    kubectl: list[str | Path] = [world.kit().kubectl, "--kubeconfig", world.paths.kubeconfig]
    asked = ("get", "storageclass", HOMES_CLASS, "--ignore-not-found", "-o", "jsonpath={.provisioner}")
    if output([*kubectl, *asked]).strip() == "rancher.io/local-path":
        cluster.kubectl(world.paths, world.kit(), "delete", "storageclass", HOMES_CLASS)


def helm_command(paths: Paths) -> list[str | Path]:
    """helm with the words that lead to the installation's namespace on this cluster."""
    return [paths.bin / "helm", "--kubeconfig", paths.kubeconfig, "--namespace", SYSTEM]


def is_released(paths: Paths, wanted: Mapping[str, Any]) -> bool:
    """Whether the last release that hack/ made was of today's chart and of these values."""
    marker = _marker(paths)
    return marker.exists() and marker.read_text() == _key(wanted)


def workload_images(paths: Paths) -> dict[str, str]:
    """Component -> image that the chart's workloads ask for now."""
    chosen = ("-n", SYSTEM, "-l", "app.kubernetes.io/managed-by=Helm,app.kubernetes.io/name=pdshub", "-o", "json")
    kubectl = (paths.bin / "kubectl", "--kubeconfig", paths.kubeconfig)
    found = json.loads(output([*kubectl, "get", "deployment,daemonset,statefulset", *chosen]))
    return {
        item["metadata"]["labels"]["app.kubernetes.io/component"]: container["image"]
        for item in found["items"]
        for container in item["spec"]["template"]["spec"]["containers"]
    }


def _text(wanted: Mapping[str, Any]) -> str:
    return json.dumps(wanted, indent=1)


def _key(wanted: Mapping[str, Any]) -> str:
    return digest([_text(wanted), files_digest([CHART_DIR])])


def _marker(paths: Paths) -> Path:
    return paths.cluster / "operator-release"


def _renew_helper(world: World) -> None:
    """The helper is left alone by an upgrade (OnDelete): here it shall be of this checkout as well."""
    kit, kubeconfig = world.kit(), world.paths.kubeconfig
    chosen = ("-n", SYSTEM, "-l", "app.kubernetes.io/component=nfs-helper")
    pods = json.loads(output([kit.kubectl, "--kubeconfig", kubeconfig, "get", "pods", *chosen, "-o", "json"]))["items"]
    old = [p for p in pods if any(c["image"] != world.images["operator"] for c in p["spec"]["containers"])]
    for pod in old:
        cluster.kubectl(world.paths, kit, "delete", "pod", "-n", SYSTEM, pod["metadata"]["name"])


def demo_hub(world: World) -> None:
    """A namespace for development with the sample hub; wait until people can sign in and read."""
    kit = world.kit()
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": DEMO,
            "labels": {
                "pdshub.dev/hubs": "allowed",
                "pdshub.dev/environment": "development",
                "pod-security.kubernetes.io/enforce": "restricted",
            },
        },
    }
    cluster.kubectl(world.paths, kit, "apply", "-f", "-", stdin=json.dumps(namespace))
    sample = SAMPLE.read_text().replace(SAMPLE_NAS, world.nas_ip).replace(*SAMPLE_HOME)
    is_new = not output([kit.kubectl, "--kubeconfig", world.paths.kubeconfig, "get", "ph", "-n", DEMO, "-o", "name"])
    began = time.monotonic()
    cluster.kubectl(world.paths, kit, "apply", "-n", DEMO, "-f", "-", stdin=sample)
    _wait(world, "Ready", 300)
    if is_new:
        world.apply_to_ready = round(time.monotonic() - began, 1)
    _wait_for_image(world, 300)
    _wait(world, "Ready", 300)
    _wait(world, "ArchiveReady", 120)


def _wait_for_image(world: World, seconds: float) -> None:
    """Wait until the demo hub runs this checkout's image: a hub is Ready while its database is copied before an
    upgrade, and restarts after that."""
    until = time.monotonic() + seconds
    while not runs_image(_get(world, "deployments.apps", "hub"), world.images["hub"]):
        if time.monotonic() > until:
            raise StepFailed(f"the demo hub does not run {world.images['hub']} after {seconds:.0f} s")
        time.sleep(0.5)


def runs_image(deployment: dict[str, Any], image: str) -> bool:
    """Whether a Deployment's only pod has this image, and no other of it is left."""
    spec, status = deployment["spec"], deployment.get("status", {})
    images = {container["image"] for container in spec["template"]["spec"]["containers"]}
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    counts = (status.get("replicas"), status.get("updatedReplicas"), status.get("availableReplicas"))
    return image in images and current and counts == (1, 1, 1)


def _wait(world: World, condition: str, seconds: float) -> None:
    """Wait for a condition of the demo hub, showing what it says whenever that changes."""
    until, told = time.monotonic() + seconds, ""
    while True:
        hub = _get(world, "pdshubs.pdshub.dev", DEMO)
        found = condition_of(hub, condition)
        if found.get("status") == "True":
            return
        says = f"{condition}: {found.get('reason', 'waiting')} {found.get('message', '')}".strip()
        if says != told:
            say(f"... demo hub: {says}")
            told = says
        if time.monotonic() > until:
            raise StepFailed(f"the demo hub is not {condition} after {seconds:.0f} s: {says}")
        time.sleep(0.5)


def condition_of(hub: dict[str, Any], condition: str) -> dict[str, Any]:
    """A condition that holds for the object's current generation; empty when there is none."""
    generation = hub["metadata"].get("generation")
    for c in hub.get("status", {}).get("conditions", []):
        if c["type"] == condition and c.get("observedGeneration", generation) == generation:
            return dict(c)
    return {}


def _get(world: World, kind: str, name: str) -> dict[str, Any]:
    kubeconfig: list[str | Path] = ["--kubeconfig", world.paths.kubeconfig, "-n", DEMO]
    return dict(json.loads(output([world.kit().kubectl, *kubeconfig, "get", kind, name, "-o", "json"])))


def sign_in(world: World) -> tuple[str, str]:
    """The demo hub's address and the password of its development sign-in."""
    hub = _get(world, "pdshubs.pdshub.dev", DEMO)
    reference = hub["spec"]["signIn"]["development"].get("passwordSecretRef") or {}
    secret = _get(world, "secret", reference.get("name", f"{DEMO}-sign-in"))
    password = base64.b64decode(secret["data"][reference.get("key", "password")]).decode()
    return hub["status"].get("address") or f"http://127.0.0.1:{cluster.hub_port()}", password


def first_notebook(world: World) -> None:
    """Sign in as a user, start a server, read from the archive in a notebook's kernel; keep what it read."""
    _, password = sign_in(world)
    python = venv().path(world.paths) / "bin" / "python"
    # by the mapped port: the address in the status is meant for people, and may be another host's name
    address = f"http://127.0.0.1:{cluster.hub_port()}"
    text = output(
        [python, FIRST_NOTEBOOK, address, USER],
        env={"PDSHUB_PASSWORD": password, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        timeout=420,
    )
    (world.paths.cluster / "first-notebook.txt").write_text(text + "\n")
    figures.keep(world, figures.measure(world, world.apply_to_ready, text))


def farewell(world: World) -> None:
    """Tell the user where the hub is."""
    read = world.paths.cluster / "first-notebook.txt"
    if not read.exists():
        return
    address, password = sign_in(world)
    print(f"\nThe hub is at {address}\n  user      {USER}\n  password  {password}")
    print("What this user's notebook just read:\n" + "\n".join(f"  {x}" for x in read.read_text().splitlines()))
    figures.tell(world)
