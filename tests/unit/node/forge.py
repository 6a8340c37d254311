"""EROFS images made by hand: what a surveyor makes, and what nobody should mount."""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass, field
from typing import Any

BITS = 9
BLOCK = 1 << BITS
META = 4 * BLOCK
"""Where inodes begin: behind the superblock."""
TOP = ".pdshub-catalog"
_TYPES = {stat.S_IFREG: 1, stat.S_IFDIR: 2, stat.S_IFCHR: 3, stat.S_IFIFO: 5, stat.S_IFLNK: 7}
METACOPY, REDIRECT, OPAQUE = b"overlay.metacopy", b"overlay.redirect", b"overlay.opaque"


@dataclass
class Node:
    """A file. `attributes`: name behind "trusted." -> value."""

    mode: int = stat.S_IFREG | 0o644
    size: int = 0
    entries: dict[bytes, Node] = field(default_factory=dict)
    target: bytes = b""
    attributes: dict[bytes, bytes] = field(default_factory=dict)
    index: int = 4
    place: int = -1
    up: int | None = None
    """The inode of its "..", if not who holds it."""
    changes: dict[str, int] = field(default_factory=dict)
    """Fields of its inode that say something else: format, size, block, map."""


def directory(entries: dict[str | bytes, Node] | None = None, **more: Any) -> Node:
    found = {n.encode() if isinstance(n, str) else n: node for n, node in (entries or {}).items()}
    return Node(stat.S_IFDIR | 0o755, entries=found, **more)


def file(size: int = 10, redirect: bytes = b"/x", **more: Any) -> Node:
    return Node(size=size, attributes={METACOPY: b"", REDIRECT: redirect}, **more)


def link(target: bytes) -> Node:
    return Node(stat.S_IFLNK | 0o777, target=target)


def catalog(entries: dict[str | bytes, Node] | None = None) -> Node:
    """A root with the view's folder in it."""
    return directory({TOP: directory(entries, attributes={OPAQUE: b"y"})})


def image(root: Node, **changes: int) -> bytes:
    """The image of a tree. `changes`: fields of its superblock, by name."""
    nodes = _gather(root)
    at = META
    for node, _ in nodes:
        node.place = at
        at += -(-(32 + len(_attributes(node)) + 4) // 32) * 32
        if stat.S_ISDIR(node.mode) or node.target:
            at = -(-at // BLOCK) * BLOCK + BLOCK  # one block of data behind each
    raw = bytearray(-(-at // BLOCK) * BLOCK)
    for node, above in nodes:
        _write(raw, node, above)
    sb = {
        "magic": 0xE0F5E1E2, "checksum": 0, "compat": 6, "bits": BITS, "slots": 0, "root": (root.place - META) // 32,
        "inos": len(nodes), "time": 0, "nsec": 0, "blocks": len(raw) >> BITS, "meta": META >> BITS, "xattr": 0,
        "incompat": 0, "algorithms": 0, "devices": 0, "devslot": 0, "dirbits": 0, "prefixes": 0, "prefix": 0,
        "packed": 0, **changes,
    }  # fmt: skip
    v = list(sb.values())
    struct.pack_into("<IIIBBHQQIIII16s16sIHHHBBIQ", raw, 1024, *v[:12], b"", b"", *v[12:])
    return bytes(raw)


def _gather(root: Node) -> list[tuple[Node, Node]]:
    """Each node once, with who holds it."""
    found: dict[int, tuple[Node, Node]] = {}
    waiting = [(root, root)]
    while waiting:
        node, above = waiting.pop()
        if id(node) not in found:
            found[id(node)] = (node, above)
            waiting += [(child, node) for child in node.entries.values()]
    return list(found.values())


def _attributes(node: Node) -> bytes:
    if not node.attributes:
        return b""
    body = b""
    for name, value in node.attributes.items():
        one = struct.pack("<BBH", len(name), node.index, len(value)) + name + value
        body += one + bytes(-len(one) % 4)
    return struct.pack("<IB7x", 0, 0) + body  # a filter of names that keeps none out


def _write(raw: bytearray, node: Node, above: Node) -> None:
    kind, attributes = stat.S_IFMT(node.mode), _attributes(node)
    data = node.target or (_names(node, above) if kind == stat.S_IFDIR else b"")
    size, layout, block = len(data) or node.size, 4 if not data and node.size else 0, 0
    if data:
        end = -(-(node.place + 32 + len(attributes) + 4) // BLOCK) * BLOCK
        raw[end : end + len(data)] = data
        block = end >> BITS
    elif node.size:
        block = max(0, (node.size - 1).bit_length() - BITS)
    said = {"format": layout << 1, "size": size, "block": block, "map": 0xFFFFFFFF, **node.changes}
    count = (len(attributes) - 12) // 4 + 1 if attributes else 0
    numbers = (said["format"], count, node.mode, 1, said["size"] & 0xFFFFFFFF, 0, said["block"], 0, 0, 0, 0)
    inode = struct.pack("<HHHHIIIIHHI", *numbers)
    tail = struct.pack("<I", said["map"]) if layout == 4 else b""
    raw[node.place : node.place + 32 + len(attributes) + len(tail)] = inode + attributes + tail


def _names(node: Node, above: Node) -> bytes:
    found = sorted({b".": node, b"..": above, **node.entries}.items())
    names, dirents, at = b"", b"", 12 * len(found)
    for name, child in found:
        number = (child.place - META) // 32 if name != b".." or node.up is None else node.up
        dirents += struct.pack("<QHBB", number, at + len(names), _TYPES[stat.S_IFMT(child.mode)], 0)
        names += name
    assert at + len(names) <= BLOCK, "one block of names is enough for tests"
    return dirents + names
