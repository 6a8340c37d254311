"""What somebody's server reaches that is not theirs: a program that is run, as it stands, in a cell of that server.

It needs the standard library alone. ``TARGETS`` is put before it: {"own": name, "other": name, "tcp": {attempt: [host,
port]}, "secret": file name, "declared": bytes of a home}. Its last line is JSON: [[attempt, reached, detail], …].
Nothing is changed by it.
"""

import contextlib
import glob
import json
import os
import pathlib
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

OWN, OTHER = TARGETS["own"], TARGETS["other"]  # type: ignore[name-defined] # noqa: F821
FOUND: list[list[object]] = []


def found(attempt: str, reached: object, detail: object = "") -> None:
    FOUND.append([attempt, bool(reached), str(detail)[:120]])


def text(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def status() -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in text("/proc/self/status").splitlines() if ":\t" in line)


def files_of_another() -> None:
    names = [p for base in ("/home/*/", "/home/jupyter-*/", "/proc/*/root/home/*/") for p in glob.glob(base)]
    own = os.path.realpath(pathlib.Path.home())
    read = [p for p in names if os.path.realpath(p) != own and text(p + TARGETS["secret"])]  # type: ignore[name-defined] # noqa: F821
    found("files", read, ", ".join(read))
    folders = sorted({p for p in glob.glob("/home/*") if os.path.realpath(p) != own})
    listed = sorted({*folders, *(line.split(":")[0] for line in text("/etc/passwd").splitlines() if OTHER in line)})
    found("names", any(OTHER in one for one in listed), ", ".join(x for x in listed if OTHER in x))
    found("tmp", text(f"/tmp/{TARGETS['secret']}"))  # type: ignore[name-defined] # noqa: F821


def processes() -> None:
    others = []
    for folder in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError):
            if os.stat(folder).st_uid != os.getuid():
                others.append(text(folder + "/cmdline").replace("\0", " ").strip())
    found("processes", others, f"{len(others)} of other users")


def answers(host: str, port: int) -> str:
    try:
        with socket.create_connection((host, port), timeout=5):
            return f"{host}:{port} answers"
    except OSError as error:
        return f"!{error}"


def network() -> None:
    for attempt, (host, port) in TARGETS["tcp"].items():  # type: ignore[name-defined] # noqa: F821
        said = answers(host, port)
        found(attempt, not said.startswith("!"), said.lstrip("!"))


def hubs_api() -> None:
    url, token = os.environ.get("JUPYTERHUB_API_URL", ""), os.environ.get("JUPYTERHUB_API_TOKEN", "")
    try:
        call = urllib.request.Request(f"{url}/users", headers={"Authorization": f"token {token}"})
        names = [one["name"] for one in json.load(urllib.request.urlopen(call, timeout=10))]
        found("people", set(names) - {OWN}, ", ".join(names))
    except (OSError, ValueError) as error:
        found("people", False, error)


def root() -> None:
    mine = status()
    keeps = mine.get("NoNewPrivs", "0").strip() == "1"
    sudo = shutil.which("sudo")
    done = sudo and subprocess.run([sudo, "-n", "id", "-u"], capture_output=True, text=True, check=False).stdout.strip()
    found("sudo", done == "0")
    setuid = [p for base in ("/usr/bin", "/usr/sbin", "/bin") for p in glob.glob(base + "/*")
              if os.path.isfile(p) and not os.path.islink(p) and os.stat(p).st_mode & 0o4000]  # fmt: skip
    found(
        "setuid", setuid and not keeps, f"{len(setuid)} programs, new rights {'are refused' if keeps else 'are given'}"
    )
    made = shutil.which("unshare") and subprocess.run(
        ["unshare", "-Ur", "true"], capture_output=True, check=False).returncode == 0  # fmt: skip
    found("namespace", made)
    sockets = [p for p in ("/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock")
               if os.access(p, os.W_OK)]  # fmt: skip
    found("engine", sockets, ", ".join(sockets))


def bounds() -> None:
    limits = []
    for line in text("/proc/self/cgroup").splitlines():
        _, kinds, path = line.split(":", 2)
        places = (path, "")  # inside of a container its own group is the root of what is mounted
        if kinds == "":
            limits += [text(f"/sys/fs/cgroup{place}/memory.max") for place in places]
        elif "memory" in kinds.split(","):
            limits += [text(f"/sys/fs/cgroup/memory{place}/memory.limit_in_bytes") for place in places]
    numbers = [int(x) for x in limits if x.strip().isdigit() and int(x) < 1 << 50]
    found("memory", not numbers, f"at most {min(numbers) >> 20} MiB" if numbers else "no limit is seen")
    disk = os.statvfs(pathlib.Path.home())
    size = disk.f_blocks * disk.f_frsize
    found("room", size > 2 * TARGETS["declared"], f"{size >> 20} MiB")  # type: ignore[name-defined] # noqa: F821


for attempt in (files_of_another, processes, network, hubs_api, root, bounds):
    attempt()
print(json.dumps(FOUND))
