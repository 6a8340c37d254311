"""Getting images from the cache into the cluster's node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .app_images import IN_CLUSTER, archive_name
from .cluster import NODE_IMAGES
from .run import run

if TYPE_CHECKING:
    from .world import World


def on_node(world: World) -> set[str]:
    """Names of the images that the node has."""
    argv = ("exec", world.paths.node_container, "ctr", "-n", "k8s.io", "images", "ls", "-q")
    return set(world.engine.output(*argv).split())


def load(world: World) -> bool:
    """Import every image that the node doesn't have, from the cache folder it has mounted; two at a time."""
    have = on_node(world)
    missing = [(n, r) for n, r in world.images.items() if n in IN_CLUSTER and r not in have]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda image: load_one(world, *image), missing))
    return bool(missing)


def load_one(world: World, name: str, ref: str) -> None:
    """Import the archive of image ``name``, which is in the cache folder that the node has mounted."""
    archive = f"{NODE_IMAGES}/{archive_name(name, ref)}"
    argv = ["exec", world.paths.node_container, "ctr", "-n", "k8s.io", "images", "import", "--all-platforms", archive]
    run([world.engine.name, *argv], env=world.engine.env)
