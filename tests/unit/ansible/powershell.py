"""What a PowerShell script is made of, as JSON; runs in Ansible's environment, which has the grammar (tree-sitter)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tree_sitter
import tree_sitter_powershell
from tree_sitter import Node


def every(node: Node) -> list[Node]:
    """The node and all below it."""
    return [node, *(below for child in node.children for below in every(child))]


def text(node: Node) -> str:
    return (node.text or b"").decode()


def described(source: bytes) -> dict[str, object]:
    """Faults of syntax; commands with their parameters; functions; names of variables."""
    language = tree_sitter.Language(tree_sitter_powershell.language())
    nodes = every(tree_sitter.Parser(language).parse(source).root_node)
    commands = []
    for node in (n for n in nodes if n.type == "command"):
        own = [n for n in node.children if n.type in ("command_name", "command_elements")]
        name = next((text(n) for n in own if n.type == "command_name"), "")
        elements = [c for n in own if n.type == "command_elements" for c in n.children]
        commands.append([name, [text(c) for c in elements if c.type == "command_parameter"]])
    return {
        "faults": [f"line {n.start_point.row + 1}: {text(n)[:60]}" for n in nodes if n.type == "ERROR" or n.is_missing],
        "commands": commands,
        "functions": [text(n) for n in nodes if n.type == "function_name"],
        "variables": sorted({text(n) for n in nodes if n.type == "variable"}),
    }


if __name__ == "__main__":
    print(json.dumps(described(Path(sys.argv[1]).read_bytes())))
