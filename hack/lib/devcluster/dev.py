"""hack/dev: bring what was edited onto the running cluster, and nothing else.

What an image is made of is compared by content with what the cluster runs. The operator and the node plugin get a new
image by themselves; a surveyor's comes from the operator, the hub's images and the chart from the installation: a
change of those is a whole upgrade, as hack/up does it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import app_images, cluster, code, engine, generate, install, loading, thin
from .artefact import Artefact
from .console import say
from .facts import read, write
from .figures import SYSTEM
from .run import StepFailed, log_to, output
from .settings import Paths
from .world import World

PARTS = ("operator", "node", "audit", "homes", "surveyor", "hub", "proxy", "user", "door", "chart")
HUB_IMAGES = ("hub", "proxy", "user", "door")
ALONE = {
    "operator": "deployment/pdshub-operator",
    "node": "daemonset/pdshub-node",
    "audit": "statefulset/pdshub-audit",
    "homes": "daemonset/pdshub-homes",
}
"""Parts that can be restarted without an upgrade of the installation -> their workload."""
HELPER = "nfs-helper"
READY_SECONDS = 180
SUMMARY = "rebuild what changed since what the cluster runs, load it, restart what uses it, and wait until it is ready"
EPILOG = (
    "Without PART everything that changed. operator, node, homes and audit (the audit log's reader) restart alone; "
    "surveyor, hub, proxy, user, door and chart upgrade the installation, which restarts all its programs. Parts that "
    "changed and were not named keep what they run until ./hack/dev or ./hack/up."
)


@dataclass(frozen=True)
class Running:
    """What the cluster runs."""

    images: Mapping[str, str]
    """Component of the chart (operator, node, nfs-helper, surveyor) or image of hubs -> image."""
    is_chart_current: bool


@dataclass(frozen=True)
class Plan:
    """What to do."""

    images: Mapping[str, str]
    """Name -> image of the cluster afterwards, where it is not there yet to be built and loaded."""
    restart: tuple[str, ...] = ()
    """Workloads of ALONE that get the operator's new image."""
    upgrade: tuple[str, ...] = ()
    """What changed, where the whole installation has to be upgraded; empty: it need not."""
    left: tuple[str, ...] = ()
    """Parts that changed and go on as they are."""


def part(word: str) -> str:
    """A word of the command line that names one of PARTS. Raises ArgumentTypeError."""
    if word not in PARTS:
        raise argparse.ArgumentTypeError(f"{word} is no part: choose from {', '.join(PARTS)}")
    return word


def changed_parts(
    wanted: Mapping[str, str], running: Running, code_now: Mapping[str, str], code_of: Mapping[str, Mapping[str, str]]
) -> set[str]:
    """Parts of which something else runs than this checkout makes; the helper of user-space NFS is one of its own.

    ``wanted``: name -> image. A program of the operator's image changed when its image is another one and the code it
    loads is too: ``code_now`` is program -> digest, ``code_of`` the same for each image that is remembered.
    """
    changed = {name for name in HUB_IMAGES if running.images.get(name) != wanted[name]}
    if not running.is_chart_current:
        changed.add("chart")
    for program, now in code_now.items():
        image = running.images.get(program)
        if image not in (None, wanted["operator"]) and code_of.get(image, {}).get(program) != now:
            changed.add(program)
    return changed


def plan(wanted: Mapping[str, str], running: Running, changed: Collection[str], named: Collection[str]) -> Plan:
    """What to do about ``changed`` (:func:`changed_parts`); only about ``named`` parts where some are."""
    chosen = {p for p in changed if not named or p in named or (p == HELPER and "node" in named)}
    upgrade = tuple(sorted(chosen)) if chosen - set(ALONE) else ()
    kept = {name: running.images.get(name) or wanted[name] for name in HUB_IMAGES}
    images = {**kept, **{n: wanted[n] for n in HUB_IMAGES if n in chosen}, "operator": wanted["operator"]}
    if upgrade:
        # one value of the chart names the image of all programs: they all come along
        left = set(changed) - chosen - {*ALONE, "surveyor", HELPER, "chart"}
        return Plan(images, (), upgrade, tuple(sorted(left)))
    restart = tuple(p for p in ALONE if p in chosen)
    return Plan(images if restart else {}, restart, (), tuple(sorted(set(changed) - chosen)))


def dev(paths: Paths, named: Collection[str], *, dry_run: bool) -> None:
    """Do it. Raises StepFailed, also when there is no cluster yet."""
    began = time.monotonic()
    facts = read(paths.env)
    if not facts:
        raise StepFailed("no cluster: run ./hack/up once")
    with log_to(paths.logs / "dev.log"), ThreadPoolExecutor(1) as beside:
        world = _world(paths, facts)
        generate.stubs(paths, lambda _: None)
        app_images.put_programs(paths)
        code_now = beside.submit(code.digests, app_images.surroundings(world.base_ref))
        wanted = {n: app_images.reference(n, world.base_ref) for n in app_images.IN_CLUSTER}
        running = _running(world)
        code_of = {image: code.recall(paths, image) for image in set(running.images.values())}
        todo = plan(wanted, running, changed_parts(wanted, running, code_now.result(), code_of), named)
        _tell(todo)
        if dry_run or not (todo.restart or todo.upgrade):
            return
        world.images.update(todo.images)
        load(world, todo.images)
        code.remember(paths, wanted["operator"], code_now.result())
        if todo.upgrade:
            install.operator(world)
            say(f"upgraded; everything is ready after {time.monotonic() - began:.1f} s")
        else:
            restart(paths, todo, began)
        write(paths.env, {**facts, **{f"IMAGE_{n.upper()}": ref for n, ref in todo.images.items()}})
        app_images.forget_outdated(world.engine, wanted["operator"])


def _world(paths: Paths, facts: Mapping[str, str]) -> World:
    world = World(paths, engine.find(paths), facts.get("AIRGAP") != "true")
    world.tools = cluster.Tools(paths.bin / "kind", paths.bin / "kubectl")
    world.nas_ip = facts["NAS_IP"]
    world.base_ref, _ = app_images.ensure_base(paths, world.engine, world.registry)
    world.images = {n: facts[key] for n in app_images.NAMES if (key := f"IMAGE_{n.upper()}") in facts}
    return world


def _running(world: World) -> Running:
    """Ask the release for its values and the workloads for their images."""
    with ThreadPoolExecutor(1) as beside:
        workloads = beside.submit(install.workload_images, world.paths)
        try:
            text = output([*install.helm_command(world.paths), "get", "values", "pdshub", "--output", "json"])
        except StepFailed as e:
            raise StepFailed(f"PDSHub is not installed on the cluster: run ./hack/up\n{e}") from None
        released: dict[str, Any] = json.loads(text)
        images = {**released["defaults"]["images"], "operator": released["image"]}
        current = install.is_released(world.paths, install.values(world, images))
        return Running({**images, "surveyor": released["image"], **workloads.result()}, current)


def _tell(todo: Plan) -> None:
    if todo.upgrade:
        say(f"changed: {', '.join(todo.upgrade)}; an upgrade of the installation restarts its programs")
    elif todo.restart:
        say(f"changed: {', '.join(todo.restart)}")
    else:
        say("nothing to do: no program of the cluster would run other code")
    if todo.left:
        say(f"changed too, and left as it is: {', '.join(todo.left)}")


def load(world: World, images: Mapping[str, str]) -> None:
    """Build what the node does not have, and load it."""
    have = loading.on_node(world)
    for name, ref in images.items():
        if ref in have:
            continue
        began = time.monotonic()
        made: Artefact = app_images.image(world.paths, world.engine, name, world.base_ref)
        if name in app_images.BELOW and world.engine.name == "podman" and not made.exists(world.paths):
            # hack/up packs the whole image, from the layers that are made here
            if not world.engine.has_image(ref):
                app_images.build(world.engine, name, world.base_ref)
            built = time.monotonic()
            packed = thin.load(world.paths, world.engine, ref)
            loaded = time.monotonic()
            say(f"built {name} in {built - began:.1f} s, loaded {packed / 1e6:.1f} MB in {loaded - built:.1f} s")
        else:
            app_images.ensure(world.paths, world.engine, name, world.base_ref)
            loading.load_one(world, name, ref)
            say(f"built and loaded {name} in {time.monotonic() - began:.1f} s")


def restart(paths: Paths, todo: Plan, began: float) -> None:
    """Give the workloads the operator's new image and wait until each is ready; ``began``: of the whole, monotonic."""
    kubectl: list[str | Path] = [paths.bin / "kubectl", "--kubeconfig", paths.kubeconfig, "-n", SYSTEM]

    def one(part: str) -> None:
        output([*kubectl, "set", "image", ALONE[part], f"{part}={todo.images['operator']}"])
        output([*kubectl, "rollout", "status", ALONE[part], f"--timeout={READY_SECONDS}s"], timeout=READY_SECONDS + 10)
        say(f"{part} is ready with the new code after {time.monotonic() - began:.1f} s")

    with ThreadPoolExecutor(len(todo.restart)) as pool:
        list(pool.map(one, todo.restart))
