"""One user's page is not another's: a page of ada's real server attacks an admin who opened it, with one name for all
and with a name for each; and what runs that server is root's.

Names and TLS end on this machine: a relay in front of the proxy's port at the node, with a certificate for the hub's
name and all below it, to which Chromium is led.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pdshub_hub import subdomain
from tests import tls_relay
from tests.attacks import ATTACKS, BLIND, Attack, on
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, password, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.pictures import PROGRAM, Browser, browser
from tests.unit.user_server import free_ports

SPACE, HUB, HOST = "e2e-isolation", "apart", "hub.isolation.example.org"
ODD = "o'brien+pds@example.org"
USERS = {"allowed": ["ada", ODD], "admins": ["root"]}
ADDRESS = f"https://{HOST}"
TRIED = tuple(attack for attack in ATTACKS if "OTHER" not in attack.script)
"""bela has no server here."""
MINT = """
(async () => {
  const answer = await fetch("/hub/api/users/" + encodeURIComponent(jhdata.user) + "/tokens?_xsrf=" + jhdata.xsrf_token,
    {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({note: "test"})});
  return (await answer.json()).token;
})()
"""
"""On a page of the hub: a token of whoever is signed in."""


@pytest.fixture(scope="module")
def port(cluster: Cluster, sample: dict[str, Any]) -> Iterator[int]:
    """A hub in which all share one name, and the port of this machine at which TLS is."""
    namespace(cluster, SPACE)
    cluster.apply(variant(sample, HUB, SPACE, archive=None, users=USERS, hostname=HOST, isolation="Path"))
    try:
        wait_ready(cluster, HUB, SPACE)
        yield free_ports(1)[0]
    finally:
        cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def at_node(cluster: Cluster) -> tuple[str, int]:
    """Address and port of the proxy at the node."""
    (node,) = cluster.items("nodes")
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    return address, int(cluster.get("service", "proxy-public", SPACE)["spec"]["ports"][0]["nodePort"])


@pytest.fixture(scope="module")
def eyes(cluster: Cluster, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser of an admin."""
    if not PROGRAM:
        pytest.skip("needs chromium")
    with (
        tls_relay.relay(HOST, tmp_path_factory.mktemp("relay"), port, *at_node(cluster)),
        browser(*tls_relay.FLAGS, tls_relay.rules(HOST, port)) as made,
    ):
        made.within = 300
        yield made


def sign_in(cluster: Cluster, eyes: Browser, name: str) -> str:
    """Fill in the form; a token of theirs."""
    eyes.ask("Network.clearBrowserCookies")
    eyes.open(f"{ADDRESS}/hub/login?next=%2Fhub%2Fhome", "Username")
    for field, value in (("username", name), ("password", password(cluster, HUB, SPACE))):
        eyes.value(f"document.querySelector('input[name={field}]').value = {json.dumps(value)}")
    eyes.value("document.querySelector('form[action*=login]').requestSubmit()")
    eyes.wait("Your server is", HOST)
    token = eyes.awaited(MINT)
    assert isinstance(token, str) and "error" not in token
    return token


def at_work(cluster: Cluster, eyes: Browser, name: str, host: str = "") -> Person:
    """Somebody with a running server; ``host``: the server's own name."""
    address, port = at_node(cluster)
    found = Person(f"http://{address}:{port}", name, "", token=sign_in(cluster, eyes, name), host=host)
    found.start()
    return found


def opened(eyes: Browser, address: str) -> None:
    """A page of ada's server in the admin's browser, which the hub asks about when it is opened for the first time."""
    eyes.ask("Page.navigate", url=address)
    button = "[...document.querySelectorAll('button')].find((b) => b.innerText.trim() === 'Authorize')"
    page = "location.pathname.startsWith('/user/ada/') && document.readyState === 'complete'"
    if eventually(lambda: eyes.value(f"({page}) ? 'page' : ({button}) ? 'asked' : ''"), every=0.3) == "asked":
        eyes.value(f"{button}.click()")
        eventually(lambda: eyes.value(page), every=0.3, what="ada's server is opened")


def attacked(eyes: Browser, address: str, attack: Attack) -> Any:
    # a page of the server that loads nothing, and forbids itself nothing
    opened(eyes, f"{address}/user/ada/nothing-here")
    return eyes.awaited(on(attack.script, ADDRESS, ""))


@pytest.fixture(scope="module")
def together(cluster: Cluster, eyes: Browser) -> Person:
    """ada at work, and then an admin signed in in the browser."""
    ada = at_work(cluster, eyes, "ada")
    sign_in(cluster, eyes, "root")
    return ada


@pytest.mark.parametrize("attack", TRIED, ids=[attack.name for attack in TRIED])
def test_with_one_name_for_all(eyes: Browser, together: Person, attack: Attack) -> None:
    assert attacked(eyes, ADDRESS, attack) == attack.path


def test_the_condition_says_what_one_name_leaves_open(cluster: Cluster, together: Person) -> None:
    said = cluster.condition("pdshub", HUB, "UsersIsolated", SPACE)
    assert (said["status"], said["reason"]) == ("False", "SharedOrigin") and "an admin too" in said["message"]


# --- a name for each


@pytest.fixture(scope="module")
def apart(cluster: Cluster, eyes: Browser, together: Person) -> Person:
    """The same hub with a name for each server: ada's is started anew, an admin is signed in."""
    together.stop()
    patch = json.dumps({"spec": {"isolation": "Subdomain"}})
    cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "-p", patch)
    wait_ready(cluster, HUB, SPACE)
    ada = at_work(cluster, eyes, "ada", f"ada.{HOST}")
    sign_in(cluster, eyes, "root")
    return ada


@pytest.mark.parametrize("attack", TRIED, ids=[attack.name for attack in TRIED])
def test_with_a_name_for_each(eyes: Browser, apart: Person, attack: Attack) -> None:
    assert attacked(eyes, f"https://ada.{HOST}", attack) == attack.subdomain


def test_a_blind_request_makes_no_token_and_planted_cookies_change_nothing(
    cluster: Cluster, eyes: Browser, apart: Person
) -> None:
    opened(eyes, f"https://ada.{HOST}/user/ada/nothing-here")
    assert str(eyes.awaited(on(BLIND, ADDRESS, ""))).startswith("sent")
    for name in ("jupyterhub-hub-login", "__Host-jupyterhub-hub-login"):
        eyes.value(f"document.cookie = '{name}=planted; path=/; secure; domain={HOST}'")
    eyes.open(f"{ADDRESS}/hub/token", "API")
    assert eyes.value("jhdata.user") == "root"
    assert "blind" not in eyes.text()


def test_the_condition_says_so(cluster: Cluster, apart: Person) -> None:
    said = cluster.condition("pdshub", HUB, "UsersIsolated", SPACE)
    assert (said["status"], said["reason"]) == ("True", "Subdomain") and HOST in said["message"]


def test_the_hub_is_under_its_own_name_alone(eyes: Browser, apart: Person) -> None:
    eyes.ask("Page.navigate", url=f"https://ada.{HOST}/hub/home")
    eventually(lambda: eyes.value("location.host"), lambda host: host == HOST, what="the hub's own name")


def test_a_name_that_is_no_label_has_a_server_with_jupyterlab(cluster: Cluster, eyes: Browser, apart: Person) -> None:
    host = subdomain.host(ODD, HOST, "user")
    odd = at_work(cluster, eyes, ODD, host)
    eyes.ask("Page.navigate", url=f"{ADDRESS}/hub/user-redirect/lab")
    eventually(lambda: eyes.value("location.host"), lambda found: found == host, what="the server's own name")
    eventually(lambda: eyes.value("!!document.querySelector('#jp-main-dock-panel')"), what="JupyterLab is there")
    with odd.kernel() as kernel:
        assert kernel.run("print(6 * 7)").ok() == "42"
    odd.stop()


# --- what runs a server

TRY = """
import os, subprocess, sys
def writable(path):
    try:
        open(os.path.join(path, "x"), "w").close()
        return True
    except OSError:
        return False
server = open("/proc/%d/cmdline" % os.getppid()).read().split("\\0")
ours = ("/opt/jupyter", "/opt/jupyter/bin", "/usr/local/etc/jupyter", "/usr/local/etc/pdshub/jupyter")
print([writable(path) for path in ours])
print(server[:3], sys.prefix)
"""


def test_the_servers_environment_is_roots_and_kernels_run_from_the_users(apart: Person) -> None:
    with apart.kernel() as kernel:
        closed, roots = kernel.run(TRY).ok().splitlines()
        assert closed == str([False] * 4)
        wanted = ["/opt/jupyter/bin/python3", "-I", "/opt/jupyter/bin/jupyterhub-singleuser"]
        assert roots == f"{wanted} /opt/user"
        assert "requirement already satisfied" in kernel.run("%pip install numpy").ok().lower()


PACKAGE = """
import base64, os, zipfile
with zipfile.ZipFile("/tmp/pebble-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("pebble.py", "version = 1")
    wheel.writestr("pebble-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: pebble\\nVersion: 1\\n")
    wheel.writestr("pebble-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("pebble-1.dist-info/RECORD", "")
"""


def test_what_is_installed_is_there_for_kernels_and_terminals(apart: Person) -> None:
    with apart.kernel() as kernel:
        kernel.run(PACKAGE).ok()
        kernel.run("%pip install --no-index --quiet /tmp/pebble-1-py3-none-any.whl").ok()
        assert kernel.run("import pebble; print(pebble.__file__)").ok().startswith("/opt/user/lib/")
        asked = "!bash -lc 'python3 -c \"import pebble, sys; print(pebble.version, sys.prefix)\"; command -v pip'"
        assert kernel.run(asked).ok().split() == ["1", "/opt/user", "/opt/user/bin/pip"]


WICKED = """
from pathlib import Path
home = Path.home()
code = "import os; open('/tmp/wicked', 'a').write('ran')\\nraise SystemExit('wicked')\\n"
for name in (".jupyter/jupyter_server_config.py", ".jupyter/jupyter_config.py", "sitecustomize.py", "tornado.py",
             ".local/lib/python3.13/site-packages/usercustomize.py"):
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text(code)
(home / ".jupyter/labconfig").mkdir(exist_ok=True)
(home / ".jupyter/labconfig/page_config.json").write_text('{"wicked": "yes"}')
"""


def test_a_home_full_of_code_starts_and_none_of_it_ran(apart: Person) -> None:
    with apart.kernel() as kernel:
        kernel.run(WICKED).ok()
    theme = "/user/ada/lab/api/settings/@jupyterlab/apputils-extension:themes"
    dark = json.dumps({"raw": '{"theme": "JupyterLab Dark"}'})
    assert apart.call("PUT", theme, data=dark).status_code == 204
    apart.stop()
    apart.start()
    page = apart.call("GET", "/user/ada/lab")
    assert page.status_code == 200 and "wicked" not in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert apart.call("GET", theme).json()["settings"] == {"theme": "JupyterLab Dark"}, "settings are kept"
    with apart.kernel() as kernel:
        assert kernel.run("import os; print(os.path.exists('/tmp/wicked'))").ok() == "False"
