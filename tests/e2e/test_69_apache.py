"""A real Apache httpd before the cluster, with the files that the command renders: two hubs and another site on one
address, as a browser and as programs see them.

Names lead to Apache's ports in this process and in Chromium only. Google's stand-in is that of test_62.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli import main as cli
from pdshub.cli import proxy, proxy_server
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.proxy_client import Door, WebSocket
from pdshub_hub import subdomain
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, password, variant, wait_ready
from tests.e2e.google_hub import GOOGLE, consent, machine_address, secret
from tests.pictures import PROGRAM, Browser, browser
from tests.tls_relay import FLAGS
from tests.unit.front_door.asking import ask
from tests.unit.front_door.authority import Authority
from tests.unit.front_door.machine import LOOPBACK, Apache, certificates, folder, free_ports, needs_apache, running
from tests.unit.hub.google_provider import account

pytestmark = needs_apache
SPACE, HUB = "e2e-apache", "front"
STAGING = "e2e-apache-staging"
HOST, STAGED, SITE = "hub.front.example.org", "staging.front.example.org", "www.front.example.org"
ADA, ODD = "ada@example.org", "o'brien+pds@example.org"
FORGED = "203.0.113.66"
TIMEOUT = 20
"""Apache's, in seconds: shorter than what a websocket is silent for."""


@dataclass
class Front:
    """Apache, the hubs behind it, and a user of the staging hub whose server runs."""

    cluster: Cluster
    apache: Apache
    trusted: Path
    """A file with the authority of its certificates."""
    token: str = ""
    server: proxy_server.Server = None  # type: ignore[assignment]

    def door(self, name: str) -> Door:
        return Door(name, self.apache.machine.https_port, LOOPBACK, self.apache.context())

    @property
    def options(self) -> tuple[str, ...]:
        """Chromium's, by which all names lead here."""
        ports = {80: self.apache.machine.http_port, 443: self.apache.machine.https_port}
        ports[ports[443]] = ports[443]  # where the plain address leads, as 443 is not this process's
        rules = ",".join(f"MAP *.example.org:{port} {LOOPBACK}:{to}" for port, to in ports.items())
        return (*FLAGS, f"--host-resolver-rules={rules}")

    def log(self, space: str) -> list[str]:
        return self.cluster.kubectl("logs", "-n", space, "deploy/hub", "--tail=2000").splitlines()


@pytest.fixture(scope="module")
def hubs(cluster: Cluster, sample: dict[str, Any], chart: dict[str, str], provider: str) -> Iterator[None]:
    """A hub with Google's sign-in and a name for each server; a staging hub beside it."""
    offload = {"offload": {"trusted": [f"{machine_address(cluster)}/32"]}}
    common = {"archive": None, "tls": offload, "service": {"type": "NodePort"}}
    namespace(cluster, SPACE, development=bool(chart))  # the repository of --chart speaks plain HTTP
    namespace(cluster, STAGING)
    server = {**sample["spec"]["server"], "home": {**sample["spec"]["server"]["home"], "size": "3Gi"}}
    cluster.apply(
        secret(SPACE),
        variant(
            sample, HUB, SPACE, **common, signIn=GOOGLE, users={"allowed": [ADA]}, hostname=HOST, isolation="Subdomain"
        ),
        variant(
            sample, HUB, STAGING, **common, users={"allowed": [ODD]}, hostname=STAGED, isolation="Path",
            drift="Report", title="Staging node", contact="staging@example.org",
            server=server,  # two gibibytes are uploaded into this one's home
        ),
    )  # fmt: skip
    try:
        for space in (SPACE, STAGING):
            wait_ready(cluster, HUB, space)
        yield
    finally:
        for space in (SPACE, STAGING):
            cluster.dismiss(space, HUB)


@pytest.fixture(scope="module")
def front(cluster: Cluster, hubs: None) -> Iterator[Front]:
    with ExitStack() as stack:
        root = stack.enter_context(folder())
        words = [f"--hub={space}/{HUB}" for space in (SPACE, STAGING)]
        site = root / "www"
        site.mkdir()
        (site / "index.html").write_text("<h1>The node's own pages</h1>")
        site.chmod(0o755)
        args = cli.parser().parse_args(
            ["proxy", "render", "apache", *words, f"--site={SITE}={site}", "--users=5", "--email=x@example.org"]
        )
        kubectl = Kubectl(("--kubeconfig", cluster.facts["KUBECONFIG"]), f"{cluster.facts['BIN']}/kubectl")
        rendered = proxy.machine_of(kubectl, args)
        ports = free_ports(2)
        machine = replace(rendered, http_port=ports[0], https_port=ports[1], root=str(root), slow=300)
        authority = Authority()
        certificates(machine, root, authority)
        (root / "ca.pem").write_text(authority.pem())
        apache = stack.enter_context(running(machine, root, authority, extra=f"Timeout {TIMEOUT}"))
        yield Front(cluster, apache, root / "ca.pem")


@pytest.fixture(scope="module")
def staged(front: Front) -> Front:
    """The same with somebody at work at the staging hub, who came by Apache."""
    front.token = token(front)
    front.server, _ = proxy_server.start(front.door(STAGED), front.token, "", 300, print)
    return front


def token(front: Front) -> str:
    """Sign in with the form, and a token of one's own."""
    from urllib.parse import quote, urlencode

    page = ask(front.apache, STAGED, "/hub/login")
    cookies = dict(one.partition(";")[0].split("=", 1) for one in page.headers["set-cookie"].split("\n"))
    words = password(front.cluster, HUB, STAGING)
    form = urlencode({"username": ODD, "password": words, "_xsrf": cookies["_xsrf"]}).encode()

    def headers(kind: str) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items()), "Content-Type": kind,
                "Origin": f"https://{STAGED}", "Referer": f"https://{STAGED}/hub/login",
                "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}  # fmt: skip

    done = ask(front.apache, STAGED, "/hub/login", "POST", headers("application/x-www-form-urlencoded"), form)
    assert done.status == 302, done.body
    cookies |= dict(one.partition(";")[0].split("=", 1) for one in done.headers["set-cookie"].split("\n"))
    home = ask(front.apache, STAGED, "/hub/home", headers=headers("text/html"))
    if "set-cookie" in home.headers:
        cookies |= dict(one.partition(";")[0].split("=", 1) for one in home.headers["set-cookie"].split("\n"))
    path = f"/hub/api/users/{quote(ODD, safe='')}/tokens?_xsrf={quote(cookies['_xsrf'], safe='')}"
    made = ask(front.apache, STAGED, path, "POST", headers("application/json"), b'{"note": "e2e"}')
    assert made.status == 201, made.body
    return str(made.json["token"])


# --- three sites on one address


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        (HOST, "/hub/login", "Sign in with Google"),
        (STAGED, "/hub/login", "Staging node"),
        (SITE, "/", "The node's own pages"),
    ],
)
def test_each_site_answers_under_its_name(front: Front, name: str, path: str, words: str) -> None:
    found = ask(front.apache, name, path)
    assert found.status == 200 and words in found.body.decode()
    plain = replace(front.door(name), port=front.apache.machine.http_port, context=None).ask(path)
    assert (plain.status, plain.headers["location"]) == (308, f"https://{name}:{front.door(name).port}{path}")


def test_another_name_than_its_own_is_refused(front: Front) -> None:
    assert ask(front.apache, HOST, "/hub/login", headers={"Host": "evil.example.org"}).status == 421


def test_the_hubs_say_who_ends_tls(front: Front) -> None:
    for space in (SPACE, STAGING):
        status = front.cluster.get("pdshub", HUB, space)["status"]
        assert status["frontDoor"] == "Offload" and status["address"].startswith("https://")
        assert front.cluster.get("service", "proxy-public", space)["spec"]["externalTrafficPolicy"] == "Local"


# --- a browser


@pytest.fixture(scope="module")
def eyes(front: Front) -> Iterator[Browser]:
    if not PROGRAM:
        pytest.skip("needs chromium")
    with browser(*front.options) as made:
        made.within = 300
        yield made


def pressed(eyes: Browser, key: str, code: int, modifiers: int = 0) -> None:
    """A key, as somebody presses it. Source: Chrome DevTools Protocol, Input.dispatchKeyEvent; 8 is Shift."""
    for kind in ("rawKeyDown", "char", "keyUp"):
        text = {"text": "\r"} if kind == "char" and key == "Enter" else {}
        what = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers, **text}
        if kind != "char" or text:
            eyes.ask("Input.dispatchKeyEvent", type=kind, **what)


NOTEBOOK = "a b 100% what? ä 星.ipynb"
WRITE = """
(async () => {
  const xsrf = decodeURIComponent(document.cookie.match(/_xsrf=([^;]+)/)[1]);
  const base = JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl;
  const cell = {cell_type: "code", source: "", metadata: {}, outputs: [], execution_count: null, id: "one"};
  const kernel = {kernelspec: {name: "python3", display_name: "Python 3", language: "python"}};
  const content = {cells: [cell], metadata: kernel, nbformat: 4, nbformat_minor: 5};
  const answer = await fetch(base + "api/contents/" + encodeURIComponent(NAME),
    {method: "PUT", headers: {"X-XSRFToken": xsrf, "Content-Type": "application/json"},
     body: JSON.stringify({type: "notebook", content})});
  return answer.status;
})()
"""
LAB = "!!document.querySelector('#jp-main-dock-panel')"


def test_from_a_plain_address_over_google_to_a_cell_that_ran(eyes: Browser, front: Front, provider: str) -> None:
    sub = account(provider, uuid.uuid4().hex, ADA)
    eyes.ask("Page.navigate", url=f"http://{HOST}/")
    eyes.wait("Sign in with Google", HOST)
    assert eyes.value("location.protocol") == "https:"
    consent(eyes, f"https://{HOST}", sub)
    own = subdomain.host(ADA, HOST, "user")
    eventually(lambda: str(eyes.value("location.host")), lambda host: host == own, within=300, what="ada's own name")
    eventually(lambda: eyes.value(LAB), within=300, what="JupyterLab is there")
    # 201 for a new file, 200 for one that a repeated request finds: either way it is written (RFC 9110, section 9.3.4)
    assert eyes.awaited(WRITE.replace("NAME", json.dumps(NOTEBOOK))) in (200, 201)
    path = f"/user/{ADA}/lab/tree/{'/'.join(map(quoted, [NOTEBOOK]))}"
    eyes.ask("Page.navigate", url=f"https://{own}{path}")
    cell = "document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell .cm-content')"
    eventually(lambda: eyes.value(f"!!{cell}"), within=300, what="the notebook is open")
    # a cell that is run before the kernel is there is forgotten
    status = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status"
    eventually(lambda: eyes.value(status), lambda found: found == "idle", within=300, what="its kernel is there")
    code = "print('the answer is', 6 * 7)"
    asked = "document.querySelector('.jp-Dialog .jp-mod-accept')"

    def tried() -> str:
        """As people do: what a page that was still busy did not take is typed again, and its question which kernel to
        run a cell with, that it asks where none has answered yet, is answered. What the page shows."""
        shown = eyes.text()
        if "the answer is 42" in shown:
            return shown
        if eyes.value(f"({asked}?.click(), !!{asked})"):
            return f"asked: {shown}"
        focused = eyes.value(f"({cell}.focus(), document.activeElement === {cell})")
        if focused:
            if code not in str(eyes.value(f"{cell}.textContent")):
                eyes.ask("Input.insertText", text=code)
            pressed(eyes, "Enter", 13, 8)
        return f"focused: {focused}, active: {eyes.value('document.activeElement.outerHTML.slice(0, 200)')}: {shown}"

    eventually(tried, lambda shown: "the answer is 42" in shown, within=300, every=5, what="its cell ran")


def quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")


def test_a_terminal_in_the_browser(eyes: Browser, front: Front) -> None:
    """After the cell: the browser is in ada's JupyterLab."""
    made = eyes.awaited(
        """(async () => {
          const xsrf = decodeURIComponent(document.cookie.match(/_xsrf=([^;]+)/)[1]);
          const base = JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl;
          const made = await fetch(base + "api/terminals", {method: "POST", headers: {"X-XSRFToken": xsrf}});
          const name = (await made.json()).name;
          const socket = new WebSocket("wss://" + location.host + base + "terminals/websocket/" + name);
          return await new Promise((done, failed) => {
            let said = "";
            socket.onerror = () => failed("no websocket");
            socket.onopen = () => socket.send(JSON.stringify(["stdin", "echo $((40 + 2))x\\r"]));
            socket.onmessage = (event) => {
              said += event.data;
              if (said.includes("42x")) { socket.close(); done("42x"); }
            };
          });
        })()"""
    )
    assert made == "42x"


# --- somebody with an odd name, at the staging hub


def test_files_with_odd_names(staged: Front) -> None:
    assert staged.server.files() == []


def test_a_kernel_and_a_terminal_live_over_silence_and_a_renewal(staged: Front) -> None:
    kernel = staged.server.kernel()
    name = staged.server.ask("api/terminals", "POST", {}).json()["name"]
    path = f"{staged.server.prefix}terminals/websocket/{name}"
    terminal, _ = WebSocket.open(staged.server.door, path, {"Authorization": f"token {staged.token}"})
    assert terminal and kernel.echo() > 0
    kernel.silent(TIMEOUT + 5)
    serial = staged.apache.authority.write(staged.apache.root / "etc/letsencrypt/live" / STAGED, STAGED)
    staged.apache.reload()
    eventually(lambda: staged.apache.serial(STAGED), lambda found: found == serial, within=120, what="it is taken up")
    assert kernel.echo() > 0
    terminal.send(json.dumps(["stdin", "echo $((60 + 6))x\r"]))
    said = ""
    while "66x" not in said:
        said += terminal.receive(60)
    terminal.close()
    kernel.close()


def checked(staged: Front, tmp_path: Path, *more: str) -> tuple[int, dict[str, str]]:
    """``kubectl pdshub proxy check`` from outside, as an administrator runs it."""
    (tmp_path / "token").write_text(staged.token)
    machine, answer = staged.apache.machine, tmp_path / "answer.json"
    with answer.open("w") as out, pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdout", out)
        patched.setenv("KUBECTL", f"{staged.cluster.facts['BIN']}/kubectl")
        patched.setenv("KUBECONFIG", staged.cluster.facts["KUBECONFIG"])
        code = cli.main(
            [
                *("proxy", "check", f"https://{STAGED}:{machine.https_port}", "-o", "json", "--connect", LOOPBACK),
                *("--http-port", str(machine.http_port), "--ca-file", str(staged.trusted)),
                *("--token-file", str(tmp_path / "token"), "--hub", f"{STAGING}/{HUB}", *more),
            ]
        )
    found = json.loads(answer.read_text())["findings"]
    return code, {one["check"]: f"{one['state']}: {one['found']}" for one in found}


CHECKS = {
    "redirect", "chain", "certificate", "http2", "hsts", "hub", "paths", "websocket-paths", "address", "server",
    "websocket", "idle", "files", "upload",
}  # fmt: skip


def test_check_finds_nothing_wrong(staged: Front, tmp_path: Path) -> None:
    code, found = checked(staged, tmp_path, "--upload", "9M", "--idle", "1")
    assert code == 0 and found.keys() == CHECKS, found


@pytest.mark.long
def test_two_gibibytes_and_five_silent_minutes(staged: Front, tmp_path: Path) -> None:
    code, found = checked(staged, tmp_path, "--upload", "2G", "--idle", "300")
    assert code == 0, [f"{check}: {text}" for check, text in found.items() if not text.startswith("ok")]


def test_the_hub_sees_the_client_and_no_forged_address(staged: Front) -> None:
    mark = uuid.uuid4().hex
    forged = {"X-Forwarded-For": FORGED, "X-Real-Ip": FORGED, "Forwarded": f"for={FORGED}"}
    answer = ask(staged.apache, STAGED, f"/hub/{mark}", headers=forged)
    lines = eventually(lambda: [line for line in staged.log(STAGING) if mark in line], bool, what="the hub's log")
    assert all(f"@{LOOPBACK})" in line and FORGED not in line for line in lines)
    (logged,) = [line for line in staged.apache.log(STAGED).splitlines() if mark in line]
    assert logged.startswith(f"{LOOPBACK} {answer.headers['x-request-id']} {STAGED} ")


def test_nobody_inside_speaks_for_a_client(staged: Front) -> None:
    """A user's own code reaches the hub's proxy without Apache: nothing that it says of a client is believed."""
    mark = uuid.uuid4().hex
    name = staged.server.ask("api/kernels", "POST", {}).json()["id"]
    path = f"{staged.server.prefix}api/kernels/{name}/channels"
    socket, _ = WebSocket.open(staged.server.door, path, {"Authorization": f"token {staged.token}"})
    assert socket
    headers = {"X-Forwarded-For": FORGED, "X-Real-Ip": FORGED, "X-Forwarded-Proto": "https", "X-Scheme": "https"}
    code = (
        "import urllib.request as u, urllib.error as e\n"
        f"r = u.Request('http://proxy-public/hub/{mark}', headers={json.dumps(headers)})\n"
        "try:\n    print('told', u.urlopen(r, timeout=20).status)\n"
        "except e.HTTPError as x:\n    print('told', x.code)\n"
    )
    header = {"msg_id": uuid.uuid4().hex, "session": "e2e", "username": "", "date": "",
              "msg_type": "execute_request", "version": "5.3"}  # fmt: skip
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    socket.send(json.dumps(message))
    said = ""
    while "told" not in said:
        said = socket.receive(60)
    socket.close()
    lines = eventually(lambda: [line for line in staged.log(STAGING) if mark in line], bool, what="the hub's log")
    assert FORGED not in " ".join(lines)


def test_while_the_hub_is_down_people_read_the_nodes_words(staged: Front) -> None:
    scale = ("scale", "deployment/hub", "-n", STAGING)
    staged.cluster.kubectl(*scale, "--replicas=0")
    try:
        found = eventually(
            lambda: ask(staged.apache, STAGED, "/hub/login"), lambda a: a.status == 503, within=120, what="it is down"
        )
        page = found.body.decode()
        assert "Staging node" in page and "mailto:staging@example.org" in page and "does not answer" in page
        assert found.headers["retry-after"] == "30"
        assert ask(staged.apache, SITE, "/").status == 200, "the other sites stay"
        assert ask(staged.apache, HOST, "/hub/login").status == 200
    finally:
        staged.cluster.kubectl(*scale, "--replicas=1")
    eventually(lambda: ask(staged.apache, STAGED, "/hub/login").status, lambda s: s == 200, within=240, what="it is up")
