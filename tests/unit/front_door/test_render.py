"""Files of a proxy machine: what they say for which hubs, and what no value of a PDSHub can make of them."""

from __future__ import annotations

import argparse
import html.parser
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli import main as cli
from pdshub.cli import proxy
from pdshub.cli.hub_choice import UseError
from pdshub.cli.kubectl import Kubectl
from pdshub.front_door import apache, apache_machine, page
from pdshub.front_door.site import Certificates, HubSite, Machine, OtherSite, SiteError, Upstream
from pdshub.front_door.workers import workers
from tests.unit.front_door.machine import APACHE, MODULES, configure, folder, needs_apache

UP = Upstream("10.0.0.5", 30080)


def machine(**changes: Any) -> Machine:
    return Machine(**{"hubs": (HubSite("hub.example.org", UP, "hub/sbn"),), **changes})


def text(made: Machine, path: str) -> str:
    return next(file.text for file in apache.files(made) if path in file.path)


# --- the arithmetic -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("users", "sockets", "reloads", "processes", "most", "limit"),
    (
        # users * sockets + users + 128 spare, in processes of 64 threads, for so many generations
        (1, 6, 4, 3, 192, 12),
        (50, 6, 4, 8, 512, 32),
        (90, 6, 4, 12, 768, 48),
        (500, 6, 4, 57, 3648, 228),
        (500, 10, 2, 88, 5632, 176),
    ),
)
def test_threads_for_so_many_people(
    users: int, sockets: int, reloads: int, processes: int, most: int, limit: int
) -> None:
    found = workers(users, sockets, reloads)
    assert (found.processes, found.workers, found.server_limit) == (processes, most, limit)
    assert found.workers > users * sockets, "somebody new is answered while everybody's sockets are open"
    assert found.server_limit >= reloads * found.workers / found.threads


def test_all_hubs_of_a_machine_count_and_the_sum_stands_in_the_file() -> None:
    hubs = tuple(HubSite(f"h{n}.example.org", UP, users=100) for n in range(3))
    said = text(machine(hubs=hubs), "conf-available")
    assert re.search(r"#   users with JupyterLab open at a time.* 300\n", said)
    assert re.search(r"#   = websockets.* 1800\n", said)
    assert "MaxRequestWorkers       2240" in said and "ServerLimit             140" in said
    unit = text(machine(hubs=hubs), "apache2.service.d")
    assert int(re.findall(r"TasksMax=(\d+)", unit)[0]) > 140 * 64, "systemd's own bound would be met first"


# --- what is rendered for which machine ------------------------------------------------------------------------------

CASES: dict[str, tuple[dict[str, Any], str, list[str], list[str]]] = {
    "one name": ({}, "sites-available/pdshub-hub", ["ServerName hub.example.org"], ["*.hub", "includeSubDomains"]),
    "a name for each user": (
        {"hubs": (HubSite("hub.example.org", UP, subdomains=True),)},
        "sites-available/pdshub-hub",
        ["ServerAlias *.hub.example.org", "includeSubDomains"],
        [],
    ),
    "certbot": ({"email": "a@example.org"}, "pdshub-door-certificates", ["--email a@example.org", "--webroot"], ["md"]),
    "certbot, a wildcard": (
        {"hubs": (HubSite("hub.example.org", UP, subdomains=True),)},
        "pdshub-door-certificates",
        ["--dns-rfc2136", "-d 'hub.example.org' -d '*.hub.example.org'"],
        ["--webroot"],
    ),
    "mod_md": (
        {"certificates": Certificates.MD, "email": "a@example.org"},
        "conf-available",
        ["<MDomain hub.example.org>", "MDContactEmail a@example.org", "MDRenewWindow 33%"],
        ["dns-01"],
    ),
    "mod_md, a wildcard": (
        {"certificates": Certificates.MD, "hubs": (HubSite("hub.example.org", UP, subdomains=True),)},
        "conf-available",
        ["<MDomain hub.example.org *.hub.example.org>", "MDCAChallenges dns-01", "MDChallengeDns01 /usr/local/sbin/"],
        [],
    ),
    "another directory": (
        {"directory": "https://acme.example.org/dir"}, "pdshub-door-certificates",
        ["--server https://acme.example.org/dir"], [],
    ),
    "files": ({"certificates": Certificates.FILES}, "pdshub-hub", ["/etc/pdshub-door/hub.example.org/"], ["letsencr"]),
    "behind": ({"behind": ("192.0.2.0/24",)}, "conf-available", ["RemoteIPInternalProxy 192.0.2.0/24"], []),
    "not behind": ({}, "conf-available", [], ["RemoteIP"]),
    "another site": (
        {"others": (OtherSite("www.example.org", root="/srv/www"),)},
        "pdshub-www",
        ['DocumentRoot "/srv/www"', "ServerName www.example.org"],
        ["ProxyPass"],
    ),
    "another program": (
        {"others": (OtherSite("www.example.org", upstream=Upstream("localhost", 8080)),)},
        "pdshub-www",
        ['ProxyPass "/" "http://localhost:8080/"'],
        ["DocumentRoot"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered(case: str) -> None:
    changes, path, there, absent = CASES[case]
    said = text(machine(**changes), path)
    assert [words for words in there if words not in said] == []
    assert [words for words in absent if words in said] == []


@needs_apache
@pytest.mark.parametrize("case", CASES)
def test_apache_takes_every_file(case: str) -> None:
    with folder() as root:
        made = machine(**{"root": str(root), **CASES[case][0]})
        if made.certificates is not Certificates.MD:
            from tests.unit.front_door.authority import Authority
            from tests.unit.front_door.machine import certificates

            certificates(made, root, Authority())
        conf = configure(made, root)
        done = subprocess.run([str(APACHE), "-t", "-f", str(conf)], capture_output=True, text=True, check=False)
        assert "Syntax OK" in done.stderr, done.stderr
        assert MODULES.is_dir()


@pytest.mark.parametrize("case", CASES)
def test_scripts_are_shell(case: str) -> None:
    for file in apache.files(machine(**CASES[case][0])):
        if file.text.startswith("#!/bin/sh"):
            assert file.mode == 0o755
            assert subprocess.run(["sh", "-n"], input=file.text, text=True, check=False).returncode == 0


def test_the_same_machine_gives_the_same_bytes_and_a_manifest_that_names_them() -> None:
    made = machine(certificates=Certificates.MD)
    files = apache.files(made)
    assert files == apache.files(machine(certificates=Certificates.MD))
    said = apache.manifest(made, files)
    assert [one["path"] for one in said["files"]] == [file.path for file in files]
    assert set(said["modules"]) == {"mpm_event", *apache_machine.modules(made)} and "md" in said["modules"]
    assert said["timers"] == ["pdshub-door-reload.timer"] and said["sites"] == ["pdshub-hub.example.org"]


# --- attacks: what others wrote stays what it is ---------------------------------------------------------------------

BREAKOUTS = (
    "hub.example.org\nProxyPass /x http://evil/",
    "hub.example.org\r\nInclude /etc/shadow",
    'hub.example.org"\n',
    "hub.example.org ServerAlias evil.example.com",
    "hub.example.org\\",
    "${HOME}.example.org",
    "%{ENV:PATH}.example.org",
    "hub.example.org>",
    "</VirtualHost>",
    "-.example.org",
    "hub..example.org",
    ".hub.example.org",
    "hub.example.org/../../etc",
    "$(id).example.org",
    "`id`.example.org",
    "hub.example.org;id",
    "hub'example.org",
    "*.example.org",
    "a" * 64 + ".example.org",
    "a." * 130 + "org",
    "ünï.example.org",
    "hub.example.org\x00",
    "",
)


@pytest.mark.parametrize("name", BREAKOUTS)
def test_a_host_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SiteError):
        HubSite(name, UP)
    with pytest.raises(SiteError):
        OtherSite(name, root="/srv/www")
    with pytest.raises(SiteError):
        Upstream.parse(f"{name}:80")


@pytest.mark.parametrize(
    "make",
    (
        lambda: Upstream.parse("10.0.0.5"),
        lambda: Upstream.parse("10.0.0.5:0"),
        lambda: Upstream.parse("10.0.0.5:65536"),
        lambda: Upstream.parse("10.0.0.5:80/x"),
        lambda: Upstream.parse("10.0.0.5:8²"),
        lambda: Upstream.parse("[::1%25eth0]:80"),
        lambda: Upstream.parse("[::1\n]:80"),
        lambda: OtherSite.parse('www.example.org=/srv/"x'),
        lambda: OtherSite.parse("www.example.org=/srv/../etc"),
        lambda: OtherSite.parse("www.example.org=/"),
        lambda: OtherSite.parse("www.example.org=http://h:80/\nInclude x"),
        lambda: HubSite("hub.example.org", UP, key="hub/sbn\nInclude x"),
        lambda: HubSite("hub.example.org", UP, key="hub"),
        lambda: HubSite("hub.example.org", UP, users=0),
        lambda: machine(email="a@example.org\nInclude x"),
        lambda: machine(email="a@example.org --server https://evil"),
        lambda: machine(email="$(id)@example.org"),
        lambda: machine(directory="https://x/dir$(id)"),
        lambda: machine(directory="http://x/dir"),
        lambda: machine(dns_server="ns.example.org\nupdate delete example.org"),
        lambda: machine(behind=("everybody",)),
        lambda: machine(hubs=()),
        lambda: machine(hubs=(HubSite("a.example.org", UP), HubSite("A.example.org", UP))),
    ),
)
def test_what_breaks_out_of_a_file_is_refused(make: Any) -> None:
    with pytest.raises(SiteError):
        make()


WORDS = (
    "</title><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '<!--#exec cmd="id"-->',
    "Node\nProxyPass /x http://evil/\n",
    "Node \\",
    "Node ${PATH} %{ENV:PATH}",
    "javascript:alert(1)",
    "data:text/html,x",
    'https://x/"onclick=alert(1)',
    'a@b.c"><script>',
    "\u202eedoN",
    "\ud800",
    "\x1b[2J",
)


class Tags(html.parser.HTMLParser):
    """The tags and links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.links = list[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]


@pytest.mark.parametrize("words", WORDS)
def test_titles_and_contacts_are_text_and_stand_in_no_other_file(words: str) -> None:
    site = HubSite("hub.example.org", UP, "hub/sbn", title=words, contact=words)
    plain = {file.path: file.text for file in apache.files(machine())}
    for file in apache.files(machine(hubs=(site,))):
        if file.path.endswith(".html"):
            found = Tags()
            found.feed(file.text)
            ours = Tags()
            ours.feed(page.maintenance(HubSite("hub.example.org", UP, title="x", contact="x")))
            assert found.tags == ours.tags and found.links == []
            assert "\n" not in re.findall("(?s)<h1>(.*?)</h1>", file.text)[0]
            file.text.encode()
        else:
            assert file.text == plain[file.path]


@pytest.mark.parametrize(
    ("contact", "link"),
    (
        ("help@sbn.example.org", "mailto:help@sbn.example.org"),
        ("https://x.example.org/a?b=1", "https://x.example.org/a?b=1"),
    ),
)
def test_addresses_of_known_kinds_are_links(contact: str, link: str) -> None:
    found = Tags()
    found.feed(page.maintenance(HubSite("hub.example.org", UP, contact=contact)))
    assert found.links == [link]


# --- the command ---------------------------------------------------------------------------------------------------

NODES = [
    {"metadata": {"name": "b"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.9"}]}},
    {"metadata": {"name": "a"}, "status": {"addresses": [
        {"type": "Hostname", "address": "a"}, {"type": "InternalIP", "address": "10.0.0.5"}]}},
]  # fmt: skip
NODE_PORT = {"spec": {"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]}}
BALANCED = {
    "spec": {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80}]},
    "status": {"loadBalancer": {"ingress": [{"ip": "2001:db8::1"}]}},
}


def pod(node: str, **metadata: str) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"nodeName": node}}


@pytest.mark.parametrize(
    ("service", "nodes", "pods", "expected"),
    (
        (NODE_PORT, NODES, [], "10.0.0.5:30080"),
        (NODE_PORT, NODES, [pod("b")], "10.0.0.9:30080"),
        (NODE_PORT, NODES, [pod("b", deletionTimestamp="now"), pod("a")], "10.0.0.5:30080"),
        (NODE_PORT, NODES, [pod("elsewhere")], "10.0.0.5:30080"),
        (NODE_PORT, [], [pod("a")], None),
        (BALANCED, [], [], "[2001:db8::1]:80"),
        ({**BALANCED, "status": {}}, NODES, [], None),
        ({"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}}, NODES, [], None),
        ({}, [], [], None),
    ),
)
def test_where_a_hub_answers_from_outside(service: Any, nodes: Any, pods: Any, expected: str | None) -> None:
    found = proxy.upstream_of(service, nodes, pods)
    assert (str(found) if found else None) == expected


class Cluster(Kubectl):
    """Hubs, and the Service of each."""

    def get(self, *arguments: str) -> dict[str, Any]:
        if arguments[0] == "service":
            return NODE_PORT
        if arguments[0] in ("nodes", "pods"):
            return {"items": NODES if arguments[0] == "nodes" else []}
        namespace = arguments[arguments.index("-n") + 1] if "-n" in arguments else "hub"
        found = {
            "metadata": {"namespace": namespace, "name": "sbn"},
            "spec": {
                "hostname": f"{namespace}.example.org", "title": "Small Bodies", "quota": {"servers": 40},
                **({"isolation": "Subdomain"} if namespace == "hub" else {}),
            },
        }  # fmt: skip
        return found if "-n" in arguments else {"items": [found]}


def rendered(*words: str) -> tuple[Any, str, int]:
    args: argparse.Namespace = cli.parser().parse_args(["proxy", "render", "apache", *words])
    answer: tuple[Any, str, int] = args.run(Cluster(), args)
    return answer


def test_the_command_places_files_as_they_lie_on_the_machine(tmp_path: Path) -> None:
    words = ("--hub", "hub/sbn", "--hub", "staging/sbn", "--site", "www.example.org=/srv/www", "-o", str(tmp_path))
    _, said, code = rendered(*words)
    assert code == 0 and "manifest.json" in said
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["sites"] == ["pdshub-hub.example.org", "pdshub-staging.example.org", "pdshub-www.example.org"]
    for file in manifest["files"]:
        placed = tmp_path / "root" / file["path"].lstrip("/")
        assert f"{placed.stat().st_mode & 0o7777:04o}" == file["mode"]
    conf = (tmp_path / "root/etc/apache2/sites-available/pdshub-hub.example.org.conf").read_text()
    assert "http://10.0.0.5:30080/" in conf and "*.hub.example.org" in conf
    staging = (tmp_path / "root/etc/apache2/sites-available/pdshub-staging.example.org.conf").read_text()
    assert "*.staging" not in staging
    settings = (tmp_path / "root/etc/apache2/conf-available/zz-pdshub-door.conf").read_text()
    assert re.search(r"users with.* 80\n", settings)


def test_without_a_folder_all_files_are_printed() -> None:
    _, said, code = rendered("--upstream", "hub/sbn=cluster.example.org:8080", "--users", "5")
    assert code == 0 and "# ===== /etc/apache2/sites-available/pdshub-hub.example.org.conf (mode 0644)" in said
    assert "http://cluster.example.org:8080/" in said


@pytest.mark.parametrize(
    "words",
    (
        ("--site", "www.example.org=/srv/../x"),
        ("--email", "nobody"),
        ("--behind", "x"),
        ("--sockets", "0"),
        ("--upstream", "hub/sbn=x"),
        ("--users", "-1"),
    ),
)
def test_wrong_use_is_said(words: tuple[str, ...]) -> None:
    with pytest.raises(UseError) as error:
        rendered(*words)
    assert error.value.code == 2
