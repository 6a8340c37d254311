"""Units of systemd: the archive's mounts, surveys by time, the hub. Pure.

Nothing that somebody wrote into a PDSHub gets into a unit but names of a form that has no meaning there.
"""

from __future__ import annotations

from pdshub.compose.machine import Machine
from pdshub.compose.source import Hub

NOBODY = 65534
"""Who surveys, and reads sources that name nobody (runAs): as in a cluster."""


def render(hub: Hub, machine: Machine) -> dict[str, str]:
    """The units, by path. Those of the archive only where there is one."""
    made = {f"systemd/{machine.project}.service": _hub(hub, machine)}
    if hub.view:
        made[f"systemd/{machine.project}-archive.service"] = _archive(machine)
    if hub.view and hub.view.spec.cataloged:
        made[f"systemd/{machine.project}-survey.service"] = _survey(machine)
        made[f"systemd/{machine.project}-survey.timer"] = _timer(machine, hub.view.spec.survey.interval_seconds)
    return made


def _hub(hub: Hub, machine: Machine) -> str:
    archive = f"{machine.project}-archive.service" if hub.view else ""
    waits = f"Wants={archive}\nAfter={archive}\n" if archive else ""
    return f"""# Written by pdshub-compose.
[Unit]
Description=PDSHub {machine.name}: hub and proxy, by Docker Compose
Requires=docker.service
After=docker.service network-online.target
Wants=network-online.target
{waits}
[Service]
Type=oneshot
RemainAfterExit=yes
WorkingDirectory={machine.folder}
ExecStartPre={machine.program} prepare {machine.folder}
ExecStart=/usr/bin/docker compose up --detach --remove-orphans
# Servers of users are no part of the project: they go on, and the hub finds them again.
ExecStop=/usr/bin/docker compose stop
TimeoutStartSec=600

[Install]
WantedBy=multi-user.target
"""


def _archive(machine: Machine) -> str:
    return f"""# Written by pdshub-compose. It mounts for everybody on this machine: it must not have mounts of its own.
[Unit]
Description=PDSHub {machine.name}: the archive, read-only
After=network-online.target
Wants=network-online.target
Before=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={machine.program} archive mount {machine.folder}
# another generation: servers that run see it at once
ExecReload={machine.program} archive mount {machine.folder}
ExecStop={machine.program} archive unmount {machine.folder}
TimeoutStartSec=180

[Install]
WantedBy=multi-user.target
"""


def _survey(machine: Machine) -> str:
    return f"""# Written by pdshub-compose.
[Unit]
Description=PDSHub {machine.name}: a survey of the archive's sources
Requires={machine.project}-archive.service
After={machine.project}-archive.service

[Service]
Type=oneshot
ExecStart={machine.program} archive survey {machine.folder}
ExecStartPost=+/usr/bin/systemctl reload {machine.project}-archive.service
User={NOBODY}
Group={NOBODY}
ProtectSystem=strict
ReadWritePaths={machine.folder}/archive/generations
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
RestrictAddressFamilies=AF_UNIX
MemoryMax=2G
Nice=10
"""


def _timer(machine: Machine, seconds: int) -> str:
    return f"""# Written by pdshub-compose.
[Unit]
Description=PDSHub {machine.name}: surveys by time

[Timer]
OnActiveSec=30
OnUnitInactiveSec={seconds}

[Install]
WantedBy=timers.target
"""
