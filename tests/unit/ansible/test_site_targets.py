"""pdshub-targets: where pods have metrics, as the API server says it, in files that Prometheus reads."""

from __future__ import annotations

import http.server
import importlib.machinery
import importlib.util
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.ansible.site_playing import COLLECTION
from tests.unit.front_door.authority import Authority

FILE = COLLECTION / "roles/monitoring/files/pdshub-targets"


def loaded() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("pdshub_targets", str(FILE))
    spec = importlib.util.spec_from_loader("pdshub_targets", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


PROGRAM = loaded()


def pod(address: Any = "10.244.0.7", name: Any = "operator-1", phase: str = "Running", **meta: Any) -> Any:
    return {
        "metadata": {"name": name, **meta},
        "spec": {"nodeName": "hub1"},
        "status": {"phase": phase, "podIP": address},
    }


LABELS = {"pod": "operator-1", "node": "hub1"}


@pytest.mark.parametrize(
    ("pods", "found"),
    (
        ([pod()], [("10.244.0.7:8080", LABELS)]),
        ([pod("fd00::7")], [("[fd00::7]:8080", LABELS)]),
        ([pod("10.0.0.9", "b"), pod()], [("10.0.0.9:8080", {"pod": "b", "node": "hub1"}), ("10.244.0.7:8080", LABELS)]),
        ([pod(phase="Pending")], []),
        ([pod(deletionTimestamp="2026-11-27T00:00:00Z")], []),
        ([pod(address="")], []),
        ([pod(address=None)], []),
        ([pod(address="evil.example.com")], []),
        ([pod(name="a\nb")], [("10.244.0.7:8080", {"node": "hub1"})]),
        ([{}], []),
        (None, []),
    ),
)
def test_pods_that_run_are_targets(pods: Any, found: Any) -> None:
    said = PROGRAM.targets({"items": pods}, 8080)
    assert [(one["targets"][0], one["labels"]) for one in said] == found


@pytest.fixture
def api(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """An API server's answers over TLS, and the program's settings for it."""
    pods: dict[str, Any] = {"operator": [pod()], "surveyor": [pod("10.244.0.8", "survey-1")]}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            component = parse_qs(asked.query)["labelSelector"][0].rpartition("=")[2]
            known = self.headers["Authorization"] == "Bearer the-token" and component in pods
            self.send_response(200 if known else 403)
            self.end_headers()
            self.wfile.write(json.dumps({"items": pods.get(component)}).encode() if known else b"no")

        def log_message(self, *words: Any) -> None:
            pass

    authority = Authority()
    authority.write(tmp_path / "tls", "localhost")
    (tmp_path / "ca.pem").write_text(authority.pem())
    (tmp_path / "token").write_text("the-token\n")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls/fullchain.pem", tmp_path / "tls/privkey.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings = tmp_path / "settings.json"
    (tmp_path / "out").mkdir()
    settings.write_text(
        json.dumps(
            {
                "api": f"https://localhost:{server.server_port}",
                "token": str(tmp_path / "token"),
                "ca": str(tmp_path / "ca.pem"),
                "folder": str(tmp_path / "out"),
                "components": {
                    "operator": {"namespace": "pdshub-system", "port": 8080},
                    "surveyor": {"namespace": "pdshub-surveyors", "port": 9811},
                },
            }
        )
    )
    try:
        yield settings, pods
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ran(settings: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", str(FILE), str(settings)], capture_output=True, text=True, check=False)


def test_files_follow_the_pods_and_stay_where_nobody_answers(api: tuple[Path, dict[str, Any]]) -> None:
    settings, pods = api
    out = settings.parent / "out"
    done = ran(settings)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "operator.json").read_text()) == [{"targets": ["10.244.0.7:8080"], "labels": LABELS}]
    assert json.loads((out / "surveyor.json").read_text())[0]["targets"] == ["10.244.0.8:9811"]

    pods["operator"] = []
    del pods["surveyor"]
    done = ran(settings)
    assert done.returncode != 0 and "surveyor: HTTP Error 403" in done.stderr
    assert json.loads((out / "operator.json").read_text()) == []
    assert json.loads((out / "surveyor.json").read_text())[0]["targets"] == ["10.244.0.8:9811"]
    assert sorted(file.name for file in out.iterdir()) == ["operator.json", "surveyor.json"]


def test_an_authority_that_is_not_the_cluster_s_gets_no_token(api: tuple[Path, dict[str, Any]]) -> None:
    settings, _ = api
    (settings.parent / "ca.pem").write_text(Authority().pem())
    done = ran(settings)
    assert done.returncode != 0 and "CERTIFICATE_VERIFY_FAILED" in done.stderr
