"""Views, sources and entries for tables: the API's models, as a node has them once they are checked."""

from __future__ import annotations

from typing import Any

from pdshub.api import view as api
from pdshub.api.generation import ReleasedGeneration, VolumePolicy
from pdshub.api.view import Layer, LocalSource, NFSSource, TreeEntry
from pdshub.node.spec import Source


def nfs(name: str, server: str, export: str = "/pds", *, port: int = 2049, version: str = "4.2", **more: Any) -> Source:
    """An NFS export; any server and version, allowed or not."""
    made = NFSSource.model_construct(server=server, export=export, port=port, version=version, **more)
    return Source(api.Source.model_construct(name=name, nfs=made))


def local(name: str, path: str) -> Source:
    """A directory of the node."""
    return Source(api.Source.model_construct(name=name, local=LocalSource.model_construct(path=path)))


def layer(source: str, path: str = ".") -> Layer:
    return Layer(source=source, path=path)


def entry(path: str, *layers: Layer, live: bool = False) -> TreeEntry:
    return TreeEntry(path=path, layers=list(layers), live=live)


def released(name: str, as_of: str = "") -> ReleasedGeneration:
    return ReleasedGeneration(name=name, as_of=as_of)


def policy(volume: str, updates: str = "live", hold: int = 3600) -> VolumePolicy:
    return VolumePolicy(volume=volume, updates=updates, max_hold_seconds=hold)
