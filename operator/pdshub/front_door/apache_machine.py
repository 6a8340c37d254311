"""Apache's settings for the whole machine: threads, bounds, TLS, the log's format, who gets certificates."""

from __future__ import annotations

from pdshub.front_door.layout import File, Layout
from pdshub.front_door.site import Certificates, Machine
from pdshub.front_door.workers import Workers, explained, workers

HEAD = "# Written by kubectl pdshub proxy render apache. Render it anew instead of editing it.\n"
CONF = "zz-pdshub-door"
"""Debian reads conf-enabled in the order of names, after mods-enabled: what stands last holds."""
LOG_FORMAT = "pdshub"
LOG_FIELDS = (
    "%a %{UNIQUE_ID}e %v [%{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t%{%z}t] "
    r"\"%m %U %H\" %>s %O %D \"%{User-Agent}i\""
)


def needed(machine: Machine) -> Workers:
    """Threads and processes for everybody on this machine."""
    return workers(sum(hub.users for hub in machine.hubs), machine.sockets_per_user, machine.reloads)


def modules(machine: Machine) -> list[str]:
    """Modules to enable (a2enmod), beside what Debian enables."""
    found = ["headers", "http2", "proxy", "proxy_http", "reqtimeout", "rewrite", "ssl", "unique_id"]
    if machine.certificates is Certificates.MD:
        found.append("md")
    if machine.behind:
        found.append("remoteip")
    return sorted(found)


def settings(machine: Machine) -> File:
    """The file for conf-available."""
    found, layout = needed(machine), Layout(machine)
    arithmetic = "\n".join(f"#   {line}" for line in explained(found, machine.sockets_per_user))
    text = f"""{HEAD}
# --- Threads -----------------------------------------------------------------------------------------------------
# A websocket holds a thread for as long as it is open: with too few of them everybody waits, also who only wants
# the sign-in page. Graceful reloads leave the former processes until the last of their sockets is closed; when
# ServerLimit is used up nobody new is answered (AH03490 in the error log).
#
{arithmetic}
#
# More users: render anew with --users. ServerLimit and ThreadLimit change with a restart, not with a reload.
<IfModule !mpm_event_module>
    Error "pdshub: Apache has to run with mpm_event (a2dismod mpm_prefork mpm_worker; a2enmod mpm_event)"
</IfModule>
ThreadLimit             {found.threads}
ThreadsPerChild         {found.threads}
ServerLimit             {found.server_limit}
MaxRequestWorkers       {found.workers}
# All processes from the start, and none ends for being idle: one that should end would wait for its sockets too.
StartServers            {found.processes}
MinSpareThreads         {found.threads}
MaxSpareThreads         {found.workers}
MaxConnectionsPerChild  0

# --- Clients that are slow or large ---------------------------------------------------------------------------------
# Slowloris: a header has to be there within {machine.slow:.0f} s, a body has to come with 500 bytes a second. Neither
# holds for websockets, and none bounds how long an upload takes.
RequestReadTimeout handshake={machine.slow:.0f} header={machine.slow:.0f}-{2 * machine.slow:.0f},MinRate=500
RequestReadTimeout body=20,MinRate=500
Timeout 60
KeepAlive On
KeepAliveTimeout 5
# 16 KiB are what the hub's proxy reads of a request's header.
LimitRequestLine 8190
LimitRequestFields 100
LimitRequestFieldSize 8190

# --- Proxy ------------------------------------------------------------------------------------------------------
ProxyRequests Off
ProxyIOBufferSize 65536
TraceEnable off

# --- TLS --------------------------------------------------------------------------------------------------------
# Mozilla's intermediate settings: TLS 1.2 and 1.3, forward secrecy.
SSLProtocol -all +TLSv1.2 +TLSv1.3
SSLCipherSuite ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
SSLHonorCipherOrder off
SSLSessionTickets off

# --- Log --------------------------------------------------------------------------------------------------------
# address, id of the request, site, request, status, bytes, microseconds, browser. The id is in the answer's header
# X-Request-Id and goes on to the hub. Queries and referrers may hold tokens: neither is logged.
LogFormat "{LOG_FIELDS}" {LOG_FORMAT}
"""
    if machine.behind:
        text += _behind(machine)
    if machine.certificates is Certificates.MD:
        text += _md(machine, layout)
    return File(layout.at(f"/etc/apache2/conf-available/{CONF}.conf"), text)


def _behind(machine: Machine) -> str:
    trusted = "\n".join(f"RemoteIPInternalProxy {one}" for one in machine.behind)
    return f"""
# --- Behind a load balancer ---------------------------------------------------------------------------------------
# Only these are believed when they say for whom they ask; whoever else says so is taken at the address it comes from.
RemoteIPHeader X-Forwarded-For
{trusted}
"""


def _md(machine: Machine, layout: Layout) -> str:
    lines = [
        "MDCertificateAgreement accepted",
        f"MDStoreDir {layout.md_store}",
        "# Lifetimes go down to 45 days: the fraction that is left counts. The authority may say earlier (ARI).",
        "MDRenewWindow 33%",
        "MDWarnWindow 20%",
        "MDCAChallenges http-01",
    ]
    if machine.email:
        lines.append(f"MDContactEmail {machine.email}")
    if machine.directory:
        lines.append(f"MDCertificateAuthority {machine.directory}")
    if (machine.http_port, machine.https_port) != (80, 443):
        lines.append(f"MDPortMap http:{machine.http_port} https:{machine.https_port}")
    for site in machine.sites:
        wild = len(site.names) > 1
        lines += ["", f"<MDomain {' '.join(site.names)}>", "    MDMembers manual"]
        if wild:
            lines += [
                "    # a wildcard is proven by a record in the DNS",
                "    MDCAChallenges dns-01",
                f"    MDChallengeDns01 {layout.at('/usr/local/sbin/pdshub-door-dns01')}",
            ]
        lines.append("</MDomain>")
    text = "\n".join(lines)
    return f"""
# --- Certificates, by mod_md ----------------------------------------------------------------------------------------
# A renewed one is taken up by a reload: pdshub-door-reload.timer, once a day at most.
{text}
"""
