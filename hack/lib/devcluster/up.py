"""hack/up and hack/down: every step in its order."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from . import (
    app_images,
    archive,
    cluster,
    engine,
    generate,
    golang,
    install,
    loading,
    machine,
    nas,
    node_image,
    registry,
    repair,
    store,
    worker,
)
from .console import elapsed, say
from .engine import LABEL, NETWORK, Engine
from .facts import write
from .run import StepFailed, log_to
from .settings import Paths
from .steps import Step, record, run_steps, table
from .venv import venv
from .world import World

HOST_PACKAGES = ("ca-certificates", "iproute2", "mount", "tar", "fuse3", "xfsprogs", "nftables")
"""fuse3: unit tests of the node plugin mount with it; xfsprogs: those of homes make file systems; nftables: those of
ansible/ load who may reach whom into namespaces of their own."""


def up(paths: Paths, *, cluster_only: bool, demo: bool) -> None:
    """Set up all that is missing. Raises StepFailed."""
    paths.cache.mkdir(parents=True, exist_ok=True)
    with log_to(paths.logs / "engine.log"):
        machine.install_packages(HOST_PACKAGES)
        found = engine.find(paths)
        repair.repair(found, say)
        worker.leave(paths, found)
        engine.network(found)
        world = World(paths, found, registry.use_registry())
    say(f"{found.name}; images: {'from a registry' if world.registry else 'built here (no registry answers)'}")
    steps = prepare(world)
    if not cluster_only:
        steps += install.steps(world, demo=demo)
    whole: dict[str, float] = {}
    try:
        run_steps(steps, paths.logs)
        if demo and not cluster_only:
            whole = {kind_of_run(steps): elapsed()}
    finally:
        known = record(steps, paths.cache / "figures.json", whole)
    print(f"\n{table(steps, known)}\n", flush=True)
    print(f"facts for scripts: {paths.env}\nkubectl: export KUBECONFIG={paths.kubeconfig} PATH={paths.bin}:$PATH")
    install.farewell(world)


def kind_of_run(steps: Sequence[Step]) -> str:
    """``cold`` when nothing was found in the cache, ``warm`` when only a cluster had to be made, else nothing."""
    anew = {"cluster", "nas", "operator", "load images"}
    made = {s.name for s in steps if s.built}
    found = {s.name for s in steps if s.built is False} - anew
    if "cluster" not in made:
        return ""
    # kubectl is built of the same sources, before
    return "warm" if made <= anew else "" if found - {"go kubernetes"} else "cold"


def prepare(world: World) -> list[Step]:
    """Steps up to a cluster with a NAS and all images. Go compiles beside what waits for the network."""
    paths = world.paths
    steps = [Step("go", "go", lambda: bool(golang.go(paths)) and None)]
    names = ["helm", "csi-sanity", "caddy", "pebble", "restic", "versitygw"]
    if not world.registry:
        names += ["kubernetes", "etcd", "kube-router", "coredns", "local-path-provisioner", "pause"]
    built = (*names, "etcdutl", "promtool")  # the last two are for tests: no image waits for them
    programs = [Step(f"go {n}", "go", lambda n=n: golang.tool(paths, n).ensure(paths)[1], ("go",)) for n in built]  # type: ignore[misc]
    steps += [
        programs[0],  # first: the operator's image has it, and later images wait behind that one
        Step("kind and kubectl", "go", lambda: _tools(world), ("go",)),
        *programs[1:],
        Step("python environment", "python", lambda: venv().ensure(paths)[1]),
        Step("grpc stubs", "python", lambda: _stubs(world), ("go", "python environment")),
        Step("archive", "python", lambda: archive.ensure(paths), ("python environment",)),
    ]
    if not world.registry:
        steps += [
            Step("node rootfs", "debian", lambda: node_image.rootfs(paths).ensure(paths)[1], ("go",)),
            Step("small base", "debian", lambda: node_image.small_base().ensure(paths)[1]),
        ]
    steps += image_steps(world, app_images.NAMES)
    made = [s.name for s in steps if s.name.startswith("image ")]
    node_needs = () if world.registry else (*(f"go {n}" for n in names), "node rootfs", "small base")
    steps += [
        Step("node image", "cluster", lambda: _node(world), node_needs),
        Step("image store", "cluster", lambda: _store(world), ("kind and kubectl", *made)),
        Step("cluster", "cluster", lambda: _cluster(world)),
        Step("network policy and storage", "cluster", lambda: _add_ons(world)),
        Step("nas", "nas", lambda: _nas(world), ("image nas", "archive")),
        Step("load images", "cluster", lambda: loading.load(world)),
        Step("facts", "cluster", lambda: _facts(world), ("nas", "go csi-sanity", "go helm")),
    ]
    return steps


def image_steps(world: World, names: Sequence[str]) -> list[Step]:
    """The Debian base and images of the project; needs the steps "go helm", "go caddy" and "grpc stubs"."""
    steps = [Step("debian image", "debian", lambda: _base(world))]
    for name in names:
        program = [f"go {app_images.PROGRAMS[name]}"] if name in app_images.PROGRAMS else []
        needs = ["debian image", *program, *(["grpc stubs"] if name == "operator" else [])]
        steps.append(Step(f"image {name}", "debian", lambda n=name: _image(world, n), tuple(needs)))  # type: ignore[misc]
    return steps


def images(paths: Paths) -> World:
    """Build (or find) the images that a cluster runs, and nothing else. Raises StepFailed."""
    paths.cache.mkdir(parents=True, exist_ok=True)
    with log_to(paths.logs / "engine.log"):
        machine.install_packages(HOST_PACKAGES)
        world = World(paths, engine.find(paths), registry.use_registry())
    steps = [
        Step("go", "go", lambda: bool(golang.go(paths)) and None),
        *(
            Step(f"go {n}", "go", lambda n=n: golang.tool(paths, n).ensure(paths)[1], ("go",))  # type: ignore[misc]
            for n in app_images.PROGRAMS.values()
        ),
        Step("python environment", "python", lambda: venv().ensure(paths)[1]),
        Step("grpc stubs", "python", lambda: _stubs(world), ("go", "python environment")),
        *image_steps(world, app_images.IN_CLUSTER),
    ]
    run_steps(steps, paths.logs)
    return world


def _tools(world: World) -> bool:
    world.tools, built = cluster.find_tools(world.paths)
    link(world.paths.bin / "kind", world.tools.kind)
    link(world.paths.bin / "kubectl", world.tools.kubectl)
    return built


def _stubs(world: World) -> None:
    generate.stubs(world.paths, lambda _: None)


def _base(world: World) -> bool:
    world.base_ref, built = app_images.ensure_base(world.paths, world.engine, world.registry)
    return built


def _image(world: World, name: str) -> bool:
    if name in app_images.PROGRAMS:
        app_images.put_program(world.paths, app_images.PROGRAMS[name])
    world.images[name], built = app_images.ensure(world.paths, world.engine, name, world.base_ref)
    return built


def _node(world: World) -> bool:
    if world.registry:
        world.node_ref = registry.KINDEST_NODE
        return False
    world.node_ref, built = node_image.ensure_node_image(world.paths, world.engine)
    return built


def _store(world: World) -> bool:
    """Only a cluster that has to be made needs one; a running one gets the images that it lacks."""
    if cluster.is_current(world.paths, world.engine, world.kit(), world.node_ref, not world.registry):
        return False
    control_plane = None if world.registry else node_image.control_plane(world.paths).ensure(world.paths)[0]
    wanted = store.store(world.paths, world.engine, world.node_ref, control_plane, world.images)
    world.store, built = wanted.ensure(world.paths)
    return built


def _cluster(world: World) -> bool:
    if world.store is None:
        return False
    cluster.create(world.paths, world.engine, world.kit(), world.node_ref, not world.registry, world.store)
    return True


def _add_ons(world: World) -> None:
    cluster.add_ons(world.paths, world.kit(), not world.registry)


def _nas(world: World) -> bool:
    world.nas_ip, started = nas.ensure(world.paths, world.engine, world.images["nas"])
    return started


def _facts(world: World) -> None:
    paths = world.paths
    link(paths.bin / "helm", golang.program(paths, "helm"))
    link(paths.bin / "csi-sanity", golang.program(paths, "csi-sanity"))
    facts = {
        "KUBECONFIG": str(paths.kubeconfig),
        "NAS_IP": world.nas_ip,
        "NAS_CONTAINER": paths.nas_container,
        "NAS_DATA": str(paths.archive),
        "HUB_URL": f"http://127.0.0.1:{cluster.hub_port()}",
        "NODE_CONTAINER": paths.node_container,
        "ENGINE": world.engine.name,
        "BIN": str(paths.bin),
        "AIRGAP": str(not world.registry).lower(),
        "CONTAINERS_CONF": world.engine.env.get("CONTAINERS_CONF", ""),
        **{f"IMAGE_{n.upper()}": ref for n, ref in world.images.items()},
    }
    write(paths.env, facts)


def link(name: Path, target: Path) -> None:
    """Make ``name`` a symbolic link to ``target``, in one move."""
    name.parent.mkdir(parents=True, exist_ok=True)
    if name.is_symlink() and name.readlink() == target:
        return
    new = name.with_name(f".{name.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.rename(name)


def down(paths: Paths, *, everything: bool) -> None:
    """Take away what :func:`up` made: cluster, NAS, network, routes, mounts; with ``everything``, the cache."""
    with log_to(paths.logs / "down.log"):
        try:
            found = engine.find(paths)
        except StepFailed as e:
            say(f"no engine, so no containers: {e}")
            return
        repair.repair(found, say)
        worker.leave(paths, found)
        kit = cluster.Tools(paths.bin / "kind", paths.bin / "kubectl")
        cluster.remove(paths, found, kit)
        nas.remove(paths, found)
        _remove_network(found)
        machine.forget_ranges()
        machine.unmount_below(paths.cache)
        if everything:
            for ref in found.output("images", "--format", "{{.Repository}}:{{.Tag}}").split():
                if ref.startswith("localhost/pdshub/"):
                    found.ok("rmi", "-f", ref)
            shutil.rmtree(paths.cache, ignore_errors=True)
    say("down: cluster, NAS, network and routes are gone" + ("" if everything else "; the cache stays"))


def _remove_network(found: Engine) -> None:
    """Remove the network if hack/up made it and nothing uses it."""
    name, value = LABEL.split("=")
    mine = found.output("network", "ls", "--filter", f"label={name}={value}", "--format", "{{.Name}}").split()
    if NETWORK in mine:
        found.ok("network", "rm", NETWORK)
