"""What gets certificates and takes renewed ones up: few reloads, since each leaves processes behind."""

from __future__ import annotations

from pdshub.front_door.apache_machine import HEAD, needed
from pdshub.front_door.layout import File, Layout
from pdshub.front_door.site import Certificates, Machine

SHELL = "#!/bin/sh\n"
HOOKS = "/etc/letsencrypt/renewal-hooks"


def files(machine: Machine) -> list[File]:
    """Scripts and units for the machine's way to certificates."""
    layout = Layout(machine)
    if machine.certificates is Certificates.CERTBOT:
        return [_ask(machine, layout), *_hooks(layout), _unit(machine, layout)]
    if machine.certificates is Certificates.MD:
        wild = any(len(site.names) > 1 for site in machine.sites)
        return [*_reload(layout), *([_dns(machine, layout)] if wild else []), _unit(machine, layout)]
    return [_unit(machine, layout)]


def _unit(machine: Machine, layout: Layout) -> File:
    """systemd counts threads as tasks, and has a bound that a few hundred users reach."""
    found = needed(machine)
    tasks = found.server_limit * (found.threads + 8) + 128
    text = f"""{HEAD}# threads of all processes, former ones too
[Service]
TasksMax={tasks}
LimitNOFILE=65536
"""
    return File(layout.at("/etc/systemd/system/apache2.service.d/pdshub-door.conf"), text)


def _ask(machine: Machine, layout: Layout) -> File:
    who = f"--email {machine.email}" if machine.email else "--register-unsafely-without-email"
    server = f" --server {machine.directory}" if machine.directory else ""
    lines = []
    for site in machine.sites:
        names = " ".join(f"-d '{name}'" for name in site.names)
        # a wildcard is proven by a record in the DNS only
        way = (
            f"--dns-rfc2136 --dns-rfc2136-credentials {layout.at('/etc/letsencrypt/rfc2136.ini')}"
            if len(site.names) > 1
            else f"--webroot -w {layout.challenges}"
        )
        lines.append(
            f"certbot certonly --non-interactive --agree-tos {who}{server} --keep-until-expiring --expand \\\n"
            f"  --deploy-hook {layout.at(HOOKS)}/deploy/pdshub-door \\\n"
            f"  --cert-name {site.name} {way} {names} \"$@\" || failed='{site.name}'"
        )
    asked = "\n".join(lines)
    text = f"""{SHELL}{HEAD}# Gets what is missing; renewals are certbot's own timer's.
# Arguments go to certbot (--staging, for a trial).
set -u
failed=
mkdir -p {layout.challenges}
{asked}
# the hooks of certbot's folders are run at renewals only
{layout.at(HOOKS)}/post/pdshub-door
if [ -n "$failed" ]; then
  echo "no certificate for $failed: see above" >&2
  exit 1
fi
"""
    return File(layout.at("/usr/local/sbin/pdshub-door-certificates"), text, 0o755)


def _hooks(layout: Layout) -> list[File]:
    """certbot calls deploy for each certificate, post once: ten certificates are one reload."""
    deploy = f"{SHELL}{HEAD}: > {layout.stamp}\n"
    post = f"""{SHELL}{HEAD}# one reload for all that was renewed, and none if nothing was
[ -e {layout.stamp} ] || exit 0
rm -f {layout.stamp}
apache2ctl configtest && systemctl reload apache2
"""
    return [
        File(layout.at(f"{HOOKS}/deploy/pdshub-door"), deploy, 0o755),
        File(layout.at(f"{HOOKS}/post/pdshub-door"), post, 0o755),
    ]


def _reload(layout: Layout) -> list[File]:
    script = f"""{SHELL}{HEAD}# mod_md lays renewed certificates aside until Apache is reloaded:
# once a day, if there are any
grep -qs '"finished": *true' {layout.md_store}/staging/*/job.json || exit 0
apache2ctl configtest && systemctl reload apache2
"""
    service = f"""{HEAD}[Unit]
Description=Take up certificates that mod_md has renewed

[Service]
Type=oneshot
ExecStart={layout.at("/usr/local/sbin/pdshub-door-reload")}
"""
    timer = f"""{HEAD}[Unit]
Description=Take up certificates that mod_md has renewed, once a day

[Timer]
OnCalendar=*-*-* 04:10
RandomizedDelaySec=30m
Persistent=true

[Install]
WantedBy=timers.target
"""
    units = "/etc/systemd/system"
    return [
        File(layout.at("/usr/local/sbin/pdshub-door-reload"), script, 0o755),
        File(layout.at(f"{units}/pdshub-door-reload.service"), service),
        File(layout.at(f"{units}/pdshub-door-reload.timer"), timer),
    ]


def _dns(machine: Machine, layout: Layout) -> File:
    """mod_md's command for DNS-01. Source: Apache HTTP Server 2.4, mod_md, MDChallengeDns01."""
    server = f"server {machine.dns_server}\n" if machine.dns_server else ""
    text = f"""{SHELL}{HEAD}# setup|teardown DOMAIN CHALLENGE, by a dynamic update (RFC 2136) with the key in
# {layout.dns_key}, which Apache's user has to be able to read.
set -eu
case $1 in
  setup) change="update add _acme-challenge.$2. 60 TXT \\"$3\\"" ;;
  teardown) change="update delete _acme-challenge.$2. TXT" ;;
  *) exit 2 ;;
esac
nsupdate -k {layout.dns_key} <<UPDATE
{server}$change
send
UPDATE
"""  # noqa: S608 - an update of the DNS
    return File(layout.at("/usr/local/sbin/pdshub-door-dns01"), text, 0o755)
