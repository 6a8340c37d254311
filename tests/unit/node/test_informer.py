"""The copy of views on disk: what a plugin knows before the API server has answered."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from pdshub.node.store.informer import ApiInformer
from tests.unit.settled import eventually

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


class Silent:
    """An API server whose first watch hears nothing: its connection broke on the way, and nobody was told."""

    def __init__(self) -> None:
        self.view = {**view(), "metadata": {"name": "sbn", "generation": 3, "resourceVersion": "7"}}
        self.watched: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") not in ("true", "True"):
            return web.json_response({"metadata": {"resourceVersion": "7"}, "items": [self.view]})
        self.watched.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        if len(self.watched) > 1:
            bookmark = {"kind": "ArchiveView", "metadata": {"resourceVersion": "8"}}
            gone = {**self.view, "metadata": {**self.view["metadata"], "resourceVersion": "9"}}
            for event in ({"type": "BOOKMARK", "object": bookmark}, {"type": "DELETED", "object": gone}):
                await response.write(json.dumps(event).encode() + b"\n")
        await asyncio.sleep(60)
        return response


def test_a_watch_that_broke_without_a_word_goes_on_from_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> list[str]:
        server, app = Silent(), web.Application()
        app.router.add_get("/apis/pdshub.dev/v1alpha1/archiveviews", server.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        cluster = {"server": f"http://127.0.0.1:{port}"}
        config = {
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "clusters": [{"name": "a", "cluster": cluster}],
            "users": [{"name": "a", "user": {}}],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        (tmp_path / "cache").mkdir()
        informer = ApiInformer(tmp_path / "cache", lambda: None)
        task = asyncio.create_task(informer.run())
        try:
            await eventually("the view is known", lambda: informer.views)
            await eventually("it is gone, and a watch follows", lambda: not informer.views and "9" in server.watched)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await runner.cleanup()
        return server.watched

    monkeypatch.setattr("pdshub.node.store.informer.WATCH_SECONDS", 0.5)
    assert asyncio.run(main())[:2] == ["7", "7"], "nothing was heard on the first"
