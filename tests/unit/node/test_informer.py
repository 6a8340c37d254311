"""The copy of views on disk: what a plugin knows before the API server has answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pdshub.node.store.informer import ApiInformer

NAME = "sha256:" + "1" * 64


def view(**status: Any) -> dict[str, Any]:
    tree = [{"path": "d", "layers": [{"source": "m"}]}]
    spec = {"sources": [{"name": "m", "nfs": {"server": "nas", "export": "/x"}}], "tree": tree}
    return {"metadata": {"name": "sbn", "generation": 3}, "spec": spec, "status": status}


def test_what_a_node_needs_is_kept(tmp_path: Path) -> None:
    changes: list[int] = []
    informer = ApiInformer(tmp_path, lambda: changes.append(1))
    informer.put(view(generation={"name": NAME}, nodes=[{"name": "n1"}], surveyor={"address": "a:1"}))
    assert "nodes" not in json.loads((tmp_path / "sbn.json").read_text())["status"]
    before = (tmp_path / "sbn.json").stat().st_ino
    informer.put(view(generation={"name": NAME}, nodes=[{"name": "n2"}], surveyor={"address": "a:1"}))
    assert len(changes) == 1 and (tmp_path / "sbn.json").stat().st_ino == before, "a status that says nothing new"
    again = ApiInformer(tmp_path, lambda: None)
    found = again.views["sbn"]
    assert found.released and found.released.name == NAME and found.surveyor == "a:1" and not again.synced
    informer.put(view(volumes=[{"volume": "pv", "updates": "nextServer"}]))
    found = informer.views["sbn"]
    assert len(changes) == 2 and found.released is None and found.update_policies[0].updates == "nextServer"
    informer.remove("sbn")
    assert not list(tmp_path.iterdir()) and not ApiInformer(tmp_path, lambda: None).views
