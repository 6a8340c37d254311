"""What the archive's unit mounts, in the words of an fstab: for people, and for ``kubectl pdshub import``. Pure."""

from __future__ import annotations

from pdshub.api.view import Source, TreeEntry
from pdshub.compose.machine import Machine
from pdshub.compose.source import View
from pdshub.compose.text import comment, line

_HEAD = (
    "What pdshub-compose archive mount shows, in the words of an fstab. Nobody reads it but people and kubectl pdshub"
    " import dockerspawner: do not add it to /etc/fstab.",
    "Where directories overlap, an overlay goes by the order of layers; a catalog (form: catalog) by labels first.",
)


def _written(path: str) -> str:
    """A path as a field of an fstab. Source: fstab(5), getmntent(3)."""
    return "".join(f"\\{ord(c):03o}" if c in " \t\n\\#" else c for c in path)


def _odd(path: str) -> bool:
    """Whether a path can not be told in options of a mount."""
    return not path.isprintable() or any(c in path for c in ",:\\\n")


def render(view: View, machine: Machine) -> str:
    """The table."""
    sources = {source.name: source for source in view.spec.sources}
    lines = [_source(source, machine) for source in view.spec.sources]
    lines += [_entry(entry, sources, view, machine) for entry in view.spec.tree]
    return comment(_HEAD) + "\n".join(lines) + "\n"


def _source(source: Source, machine: Machine) -> str:
    point = f"{machine.sources}/{source.name}"
    device = source.local.path if source.local else ""
    if source.s3:
        return f"# {line(source.name)}: not told: no line of this table mounts a bucket (rclone mount --read-only does)"
    if source.nfs:
        server = f"[{source.nfs.server}]" if ":" in source.nfs.server.strip("[]") else source.nfs.server
        device = f"{server.replace('[[', '[').replace(']]', ']')}:{source.nfs.export}"
        how = f"nfs4 ro,nosuid,nodev,noatime,soft,vers={source.nfs.version},port={source.nfs.port}"
    else:
        how = "none ro,bind"
    if not device.isprintable():
        return f"# {line(source.name)}: not told: its path has characters that a table can not hold"
    return f"{_written(device)} {point} {how} 0 0"


def _entry(entry: TreeEntry, sources: dict[str, Source], view: View, machine: Machine) -> str:
    top = f"{machine.archive}/{view.folder}"
    point = top if entry.path == "." else f"{top}/{entry.path}"
    below = [
        f"{machine.sources}/{layer.source}" + ("" if layer.path == "." else f"/{layer.path}") for layer in entry.layers
    ]
    if any(map(_odd, (point, *below))):
        return f"# {line(entry.path)}: not told: its paths have characters that a table can not hold"
    if len(below) == 1:
        return f"{_written(below[0])} {_written(point)} none ro,bind 0 0"
    return f"overlay {_written(point)} overlay ro,lowerdir={_written(':'.join(below))} 0 0"
