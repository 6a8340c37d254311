"""A kubectl whose pods are processes of this machine, and whose claims are folders: what is sent into a pod arrives."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

_PROGRAM = """#!{python}
import json, os, subprocess, sys
here = os.path.dirname(os.path.abspath(__file__))
words = sys.argv[1:]
with open(here + "/calls", "a") as calls:
    calls.write(json.dumps(words) + "\\n")
def path(kind, name):
    return here + "/objects/" + kind.rstrip("s") + "-" + name + ".json"
def found(kind):
    names = sorted(os.listdir(here + "/objects"))
    return [json.load(open(here + "/objects/" + n)) for n in names if n.startswith(kind.rstrip("s") + "-")]
def fail(text):
    sys.stderr.write("error: " + text)
    sys.exit(1)
verb = words[0]
if verb == "create":
    body = json.load(sys.stdin)
    kind = body["kind"].lower()
    if os.path.exists(path(kind, body["metadata"]["name"])):
        fail(kind + " exists already")
    if kind == "pod":
        body["status"] = {{"phase": os.environ.get("PHASE", "Running")}}
    if kind == "persistentvolumeclaim":
        os.makedirs(here + "/claims/" + body["metadata"]["name"], exist_ok=True)
    json.dump(body, open(path(kind, body["metadata"]["name"]), "w"))
elif verb == "get" and words[1] == "deployments.apps":
    spec = {{"template": {{"spec": {{"containers": [{{"image": "registry/pdshub:1"}}]}}}}}}
    print(json.dumps({{"items": [{{"spec": spec}}]}}))
elif verb == "get" and words[1] == "configmap":
    text = "defaults: {{images: {{hub: registry/hub:1}}}}"
    print(json.dumps({{"data": {{"installation.yaml": text}}}}))
elif verb == "get" and words[2].startswith("-"):
    items = found(words[1])
    if "-l" in words:
        key, value = words[words.index("-l") + 1].split("=")
        items = [i for i in items if (i["metadata"].get("labels") or {{}}).get(key) == value]
    print(json.dumps({{"items": items}}))
elif verb == "get":
    if not os.path.exists(path(words[1], words[2])):
        fail("not found")
    print(open(path(words[1], words[2])).read())
elif verb == "delete":
    if os.path.exists(path(words[1], words[2])):
        os.unlink(path(words[1], words[2]))
elif verb == "exec":
    pod = json.load(open(path("pod", words[words.index("-n") + 2])))
    claims = [v for v in pod["spec"]["volumes"] if "persistentVolumeClaim" in v]
    volumes = {{v["name"]: v["persistentVolumeClaim"]["claimName"] for v in claims}}
    mounted = pod["spec"]["containers"][0]["volumeMounts"]
    mounts = {{m["mountPath"]: volumes[m["name"]] for m in mounted if m["name"] in volumes}}
    command = words[words.index("--") + 1:]
    for at, word in enumerate(command):
        for mounted, claim in mounts.items():
            if word == mounted or word.startswith(mounted + "/"):
                command[at] = here + "/claims/" + claim + word[len(mounted):]
    broken = here + "/break"
    if os.path.exists(broken) and "receive" in command:
        left = int(open(broken).read())
        if left:
            open(broken, "w").write(str(left - 1))
            sys.stdin.buffer.read(2000)
            fail("error: stream closed")
    command[0] = sys.executable
    sys.exit(subprocess.call(command))
else:
    fail("what is " + " ".join(words))
"""


class LocalPods:
    """The folder behind it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for name in ("objects", "claims"):
            (folder / name).mkdir(parents=True)
        program = folder / "kubectl"
        program.write_text(_PROGRAM.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("KUBECTL", str(program))

    def claim(self, user: str) -> Path:
        """The folder of somebody's home."""
        from pdshub.cli.import_sources import claim_of

        return self.folder / "claims" / claim_of(user)

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """Objects of a kind."""
        return [json.loads(path.read_text()) for path in sorted((self.folder / "objects").glob(f"{kind}-*"))]

    def calls(self, verb: str = "") -> list[list[str]]:
        """What kubectl was asked."""
        file = self.folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [words for words in map(json.loads, lines) if not verb or words[0] == verb]

    def breaks(self, times: int) -> None:
        """The next connections that send something break."""
        (self.folder / "break").write_text(str(times))


def state(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything in a folder: kind, mode, time of change, content."""
    found: dict[str, tuple[Any, ...]] = {}
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where, name)
            status = path.lstat()
            content: Any = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[str(path.relative_to(folder))] = (
                stat.S_IFMT(status.st_mode),
                status.st_mode,
                status.st_mtime_ns,
                content,
            )
    return found
