"""Ways out of a user's pod, and ways to write below /archive, tried from a notebook: each is refused by the kernel.

The notebook runs as whoever signed in. Nothing here needs a tool: system calls are made by number where Python has no
function for them, as malware does it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.attempts import ACCOUNT, ESCAPES, PRELUDE, WRITES
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import NAMESPACE
from tests.e2e.hubclient import Person

VIEW = "/archive/demo"


def attempts(ada: Person, code: str, file: str) -> dict[str, str]:
    quiet = "import warnings; warnings.simplefilter('ignore')"  # Python's own, of fork() beside threads
    with ada.kernel() as kernel:
        said = kernel.run(f"{quiet}\nVIEW, FILE = {VIEW!r}, {file!r}\n{PRELUDE}\n{code}").ok()
    found: dict[str, str] = json.loads(said)
    return found


def on_the_nas(cluster: Cluster, file: str) -> list[tuple[str, int, int, int]]:
    """The copies of a file on the NAS and what lies beside them: path, size, times of content and of state."""
    found = []
    for copy in sorted(cluster.nas_data.rglob(file.rpartition("/")[2])):
        for path in (copy.parent, *sorted(copy.parent.iterdir())):
            st = path.lstat()
            found.append((str(path), st.st_size, st.st_mtime_ns, st.st_ctime_ns))
    return found


@pytest.fixture
def file(manifest: dict[str, Any]) -> str:
    """A file below /archive."""
    return f"{VIEW}/{manifest['facts']['pds4']['path']}"


def test_no_way_out_of_the_pod(ada: Person, file: str, cluster: Cluster) -> None:
    before = {(pod["metadata"]["namespace"], pod["metadata"]["uid"]) for pod in cluster.items("pods", NAMESPACE)}
    tried = attempts(ada, ESCAPES, file)
    assert len(tried) > 100
    assert {name: said for name, said in tried.items() if said == "done"} == {}
    after = {(pod["metadata"]["namespace"], pod["metadata"]["uid"]) for pod in cluster.items("pods", NAMESPACE)}
    assert before <= after, "no pod went away meanwhile"


def test_no_system_call_writes_below_archive(ada: Person, file: str, cluster: Cluster, hub: dict[str, Any]) -> None:
    nas = on_the_nas(cluster, file)
    assert nas
    with ada.kernel() as kernel:
        account = kernel.run(f"FILE = {file!r}\n{ACCOUNT}").ok()
    tried = attempts(ada, WRITES, file)
    assert len(tried) > 70
    assert {name: said for name, said in tried.items() if said == "done"} == {}
    with ada.kernel() as kernel:
        assert kernel.run(f"FILE = {file!r}\n{ACCOUNT}").ok() == account
    assert on_the_nas(cluster, file) == nas, "nothing on the NAS was touched, not even its times"


def test_what_a_pod_mounts_would_reach_nobody(ada: Person) -> None:
    """Mounts come from the node into the pod; none is shared, so that one made in the pod stays there."""
    with ada.kernel() as kernel:
        table = kernel.run("print(open('/proc/self/mountinfo').read())").ok().splitlines()
    archive = [line for line in table if line.split()[4].startswith("/archive")]
    assert archive
    for line in table:
        before, _, _ = line.partition(" - ")
        assert not [tag for tag in before.split()[6:] if tag.startswith("shared:")], line
    for line in archive:
        assert "ro" in line.split()[5].split(","), line


def test_the_process_has_nothing_to_give(ada: Person) -> None:
    """No capability in any set, no new privileges, a filter of system calls, no token."""
    with ada.kernel() as kernel:
        status = kernel.run("print(open('/proc/self/status').read())").ok()
        token = kernel.run("import os; print(os.path.exists('/var/run/secrets/kubernetes.io'))").ok()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {fields[f"Cap{kind}"].strip("0") for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {""}
    assert (fields["NoNewPrivs"].strip(), fields["Seccomp"].strip()) == ("1", "2")
    assert fields["Uid"].split()[0] != "0" and token == "False"
