"""Run csi-sanity's identity and node suites against the node plugin, in mount namespaces of its own.

    python tests/lab/sanity.py --csi-sanity PATH [--nfs SERVER:PORT/EXPORT]

Without --nfs the view's source is a local directory made here. With it, whatever NFS client this machine has
is used: the kernel's, or the user-space helper, which is started too. Needs root. Exit status: csi-sanity's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent


def view(directory: Path, nfs: str) -> dict[str, object]:
    """An ArchiveView called "sanity" with one entry, and the files it shows if they are local."""
    if nfs:
        match = re.fullmatch(r"([^/]+?)(?::(\d+))?(/.*)", nfs)
        if match is None:
            raise SystemExit("--nfs: SERVER:PORT/EXPORT")
        source: dict[str, object] = {
            "nfs": {"server": match[1], "port": int(match[2] or 2049), "export": match[3], "version": "4.2"}
        }
    else:
        (directory / "data").mkdir()
        (directory / "data/hello.txt").write_text("hello\n")
        source = {"local": {"path": str(directory / "data")}}
    return {
        "apiVersion": "pdshub.dev/v1alpha1",
        "kind": "ArchiveView",
        "metadata": {"name": "sanity", "generation": 1},
        "spec": {
            "sources": [{"name": "main", **source}],
            "tree": [{"path": "data", "layers": [{"source": "main", "path": "."}]}],
        },
    }


def wait_for(path: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > end:
            raise SystemExit(f"{path} did not appear within {seconds:g} s")
        time.sleep(0.1)


def prepare(directory: Path, nfs: str) -> list[str]:
    """Files for the plugin; answers its command line."""
    (directory / "views").mkdir()
    (directory / "views/sanity.yaml").write_text(yaml.safe_dump(view(directory, nfs)))
    server = re.split(r"[:/]", nfs)[0] if nfs else ""
    allowed = {
        "allowed": [{"server": server, "exports": ["/"]}] if server else [],
        "allowedLocalPrefixes": [str(directory)],
    }
    (directory / "installation.yaml").write_text(yaml.safe_dump({"archive": allowed}))
    return [
        sys.executable, "-m", "pdshub.node.main", "--kubelet-dir", str(directory / "kubelet"),
        "--views-from", str(directory / "views"), "--installation", str(directory / "installation.yaml"),
        "--node-name", "lab", "--report-port", "0",
    ]  # fmt: skip


def inside(options: argparse.Namespace, directory: Path) -> int:
    """In the private mount namespace, where the kubelet's directory is a shared mount, as on a node."""
    kubelet = directory / "kubelet"
    kubelet.mkdir()
    subprocess.run(["mount", "--bind", kubelet, kubelet], check=True)
    subprocess.run(["mount", "--make-rshared", kubelet], check=True)
    command = prepare(directory, options.nfs)
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parents[1] / 'operator'}:{HERE}"}
    driver = directory / "driver.sock"
    socket = kubelet / "plugins/archive.pdshub.dev/csi.sock"
    processes = [
        subprocess.Popen(command, env=environment),
        subprocess.Popen(
            [sys.executable, str(HERE / "controller.py"), str(driver), "sanity", str(socket)], env=environment
        ),
    ]
    if options.nfs:
        processes.append(subprocess.Popen([*command, "nfs-helper"], env=environment))
    try:
        wait_for(socket, 30)
        wait_for(driver, 30)
        # The suite is to run on the mounted archive, not on its absence.
        wait_for(kubelet / "plugins/archive.pdshub.dev/views/sanity/front/.pdshub/health.json", 30)
        health = kubelet / "plugins/archive.pdshub.dev/views/sanity/front/.pdshub/health.json"
        end = time.monotonic() + 60
        while not json.loads(health.read_text())["ready"]:
            if time.monotonic() > end:
                raise SystemExit(health.read_text())
            time.sleep(0.2)
        print(health.read_text())
        (kubelet / "pods").mkdir()
        result = subprocess.run(
            [
                options.csi_sanity, "-csi.endpoint", f"unix://{driver}",
                "-csi.mountdir", kubelet / "pods/mount", "-csi.stagingdir", kubelet / "pods/staging",
                "-csi.testnodevolumeattachlimit=false",
                "-ginkgo.focus", "Identity Service|Node Service", "-ginkgo.v", *options.rest,
            ],
            check=False,
        )  # fmt: skip
        left = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/pods/" in line]
        if left:
            print("mounts left behind:", *left, sep="\n")
            return 1
        return result.returncode
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csi-sanity", default="csi-sanity")
    parser.add_argument("--nfs", default="")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help="more arguments for csi-sanity, after --")
    options = parser.parse_args()
    if options.inside:
        return inside(options, options.inside)
    with tempfile.TemporaryDirectory(prefix="pdshub-sanity-") as directory:
        return subprocess.run(
            [
                "unshare",
                "-m",
                "--propagation",
                "private",
                sys.executable,
                __file__,
                "--inside",
                directory,
                *sys.argv[1:],
            ],
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
