"""All files of a machine, and what else it needs, for whoever places them: a person, or an Ansible role."""

from __future__ import annotations

import hashlib
from typing import Any

from pdshub.front_door import apache_machine, apache_site, page, renewal
from pdshub.front_door.layout import File, Layout
from pdshub.front_door.site import Certificates, Machine


def files(machine: Machine) -> list[File]:
    """Every file, in the order in which they are placed. The same machine gives the same bytes."""
    layout = Layout(machine)
    return [
        apache_machine.settings(machine),
        *(apache_site.hub(machine, site) for site in machine.hubs),
        *(apache_site.other(machine, site) for site in machine.others),
        *(File(f"{layout.pages}/{site.name}/back-soon.html", page.maintenance(site)) for site in machine.hubs),
        *renewal.files(machine),
    ]


def manifest(machine: Machine, placed: list[File]) -> dict[str, Any]:
    """What to do with the files: packages, modules, names to enable, units; path, mode and digest of each file."""
    md = machine.certificates is Certificates.MD
    certbot = machine.certificates is Certificates.CERTBOT
    wild = any(len(site.names) > 1 for site in machine.sites)
    packages = ["apache2", *(["certbot"] if certbot else [])]
    if wild and machine.certificates is not Certificates.FILES:
        packages.append("python3-certbot-dns-rfc2136" if certbot else "bind9-dnsutils")
    return {
        "packages": packages,
        "modules": ["mpm_event", *apache_machine.modules(machine)],
        "conf": [apache_machine.CONF],
        "sites": [f"pdshub-{site.name}" for site in machine.sites],
        "timers": ["pdshub-door-reload.timer"] if md else [],
        "run": ["/usr/local/sbin/pdshub-door-certificates"] if certbot else [],
        "folders": [Layout(machine).md_store] if md else [],
        "files": [
            {
                "path": file.path,
                "mode": f"{file.mode:04o}",
                "sha256": hashlib.sha256(file.text.encode()).hexdigest(),
            }
            for file in placed
        ],
    }
