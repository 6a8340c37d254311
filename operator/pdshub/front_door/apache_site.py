"""Apache's virtual hosts: one file for each hub and each other site."""

from __future__ import annotations

from pdshub.front_door.apache_machine import HEAD, LOG_FORMAT
from pdshub.front_door.layout import File, Layout
from pdshub.front_door.site import Certificates, HubSite, Machine, OtherSite, Upstream

OWN = "/.well-known/pdshub-door/"
"""Paths that Apache answers by itself."""
CHALLENGE = "/.well-known/acme-challenge/"
IDLE = 3600
"""Seconds after which a websocket that is silent both ways is closed. JupyterLab's are never: the server pings."""
PAGES = 120
"""Seconds that the hub's own pages may be silent. While a server starts, the hub says something every eight."""
PAGE_BYTES = 10 << 20
"""Bytes of the largest request to the hub itself: forms, and calls of its API."""
FORGEABLE = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Original-Url",
    "X-Real-Ip",
    "X-Request-Id",
    "X-Rewrite-Url",
    "X-Scheme",
)
"""Headers by which a client could say that it is somebody else, or somewhere else. Tornado believes X-Real-Ip and
X-Scheme before X-Forwarded-For and X-Forwarded-Proto."""


def hub(machine: Machine, site: HubSite) -> File:
    """The file of a hub."""
    layout = Layout(machine)
    of = f"hub {site.key}" if site.key else "a hub"
    pages = f"{layout.pages}/{site.name}"
    below = ", and each user's server under a name below it" if site.subdomains else ""
    text = f"""{HEAD}# {of} at https://{site.name}{below}

{_plain(machine, site)}
{_tls_head(machine, site)}
    # Another name than its own is not the hub's: the hub makes addresses of the name that it is asked for.
    RewriteEngine On
    RewriteCond %{{HTTP_HOST}} "!^{"(?:[^.:]+[.])?" if site.subdomains else ""}{_quoted(site.name)}(?::[0-9]+)?$" [NC]
    RewriteRule ^ - [R=421,L]

    # Browsers come back by https only, for a year.
    Header onsuccess unset Strict-Transport-Security
    Header always set Strict-Transport-Security "max-age=31536000{"; includeSubDomains" if site.subdomains else ""}"

    # Who asks, and how: only this machine says so to the hub, whatever the client sent.
{_forwarded(machine)}
    # The id of the request is in this machine's log, the answer's header, and what the hub gets.
    RequestHeader set X-Request-Id "%{{UNIQUE_ID}}e"
    Header onsuccess unset X-Request-Id
    Header always set X-Request-Id "%{{UNIQUE_ID}}e"

    # Names of users and files hold %2F, %3F, %40: they pass as they are.
    AllowEncodedSlashes NoDecode
    ProxyPreserveHost On
    ProxyAddHeaders Off
    # Uploads: {machine.largest_body} bytes in one request, {PAGE_BYTES} for the hub itself. LimitRequestBody (1 GiB
    # unless it is set) bounds what Apache keeps before it sends it on, not what streams through.
    LimitRequestBody {machine.largest_body}
    RewriteCond expr "%{{HTTP:Content-Length}} -gt {machine.largest_body}"
    RewriteRule ^ - [R=413,L]
    RewriteCond expr "%{{HTTP:Content-Length}} -gt {PAGE_BYTES}"
    RewriteRule ^/hub/ - [R=413,L]

    ProxyPass "{OWN}" "!"
    ProxyPass "{CHALLENGE}" "!"
    # ttl: a connection is left before the hub's proxy closes it (after 5 s without a request), else one request
    # in some thousands meets a closed one. retry=0: the hub is back as soon as it is back.
    ProxyPass "/hub/" "http://{site.upstream}/hub/" nocanon timeout={PAGES} connectiontimeout=5 retry=0 ttl=3
    # Not mod_proxy_wstunnel, and no RewriteRule to ws://: both fail at %2F and %3F, and at silent sockets.
    ProxyPass "/" "http://{site.upstream}/" nocanon upgrade=websocket timeout={IDLE} connectiontimeout=5 retry=0 ttl=3

    # While the hub does not answer. Programs get the hub's own words.
    <LocationMatch "^/(?:$|hub/(?!api/)|hub$)">
        ProxyErrorOverride On 502 503 504
    </LocationMatch>
    Alias "{OWN}" "{pages}/"
    <Directory "{pages}">
        Require all granted
        AllowOverride None
        Options None
    </Directory>
    ErrorDocument 502 {OWN}back-soon.html
    ErrorDocument 503 {OWN}back-soon.html
    ErrorDocument 504 {OWN}back-soon.html
    Header always set Retry-After 30 "expr=%{{REQUEST_STATUS}} -in {{'502','503','504'}}"
    Header always set Cache-Control no-store "expr=%{{REQUEST_STATUS}} -in {{'502','503','504'}}"

    CustomLog {layout.logs(site.name)} {LOG_FORMAT}
    ErrorLog {layout.logs(f"{site.name}-error")}
</VirtualHost>
{_tls_foot(machine)}"""
    return File(layout.at(f"/etc/apache2/sites-available/pdshub-{site.name}.conf"), text)


def other(machine: Machine, site: OtherSite) -> File:
    """The file of a site beside the hubs."""
    layout = Layout(machine)
    if site.upstream:
        serves = _passed_on(machine, site.upstream)
    else:
        serves = f"""    DocumentRoot "{site.root}"
    <Directory "{site.root}">
        Require all granted
        AllowOverride None
        Options None
    </Directory>
"""
    text = f"""{HEAD}# another site on this address: https://{site.name}

{_plain(machine, site)}
{_tls_head(machine, site)}
    Header always set Strict-Transport-Security "max-age=31536000"
    Header always set X-Request-Id "%{{UNIQUE_ID}}e"
{serves}
    CustomLog {layout.logs(site.name)} {LOG_FORMAT}
    ErrorLog {layout.logs(f"{site.name}-error")}
</VirtualHost>
{_tls_foot(machine)}"""
    return File(layout.at(f"/etc/apache2/sites-available/pdshub-{site.name}.conf"), text)


def _passed_on(machine: Machine, upstream: Upstream) -> str:
    return f"""{_forwarded(machine)}
    RequestHeader set X-Request-Id "%{{UNIQUE_ID}}e"
    ProxyPreserveHost On
    ProxyAddHeaders Off
    ProxyPass "{CHALLENGE}" "!"
    ProxyPass "/" "http://{upstream}/" upgrade=websocket connectiontimeout=5 retry=0
"""


def _quoted(name: str) -> str:
    return name.replace(".", "[.]")


def _forwarded(machine: Machine) -> str:
    """REMOTE_ADDR is the client's address; mod_remoteip corrects it where this machine is behind another.

    X-Scheme: the hub's own proxy appends its "http" to X-Forwarded-Proto, and Tornado goes by the last word there.
    """
    unset = "\n".join(f"    RequestHeader unset {name}" for name in FORGEABLE)
    return f"""{unset}
    RequestHeader set X-Forwarded-For "expr=%{{REMOTE_ADDR}}"
    RequestHeader set X-Real-Ip "expr=%{{REMOTE_ADDR}}"
    RequestHeader set X-Forwarded-Proto "https"
    RequestHeader set X-Scheme "https"
    RequestHeader set X-Forwarded-Host "expr=%{{HTTP_HOST}}"
    RequestHeader set X-Forwarded-Port "{machine.https_port}\""""


def _names(site: HubSite | OtherSite) -> str:
    aliases = "".join(f"\n    ServerAlias {name}" for name in site.names[1:])
    return f"    ServerName {site.name}{aliases}"


def _plain(machine: Machine, site: HubSite | OtherSite) -> str:
    """The virtual host on port 80: the way to https, and the authority's questions."""
    layout = Layout(machine)
    port = "" if machine.https_port == 443 else f":{machine.https_port}"
    wild = len(site.names) > 1
    # the name that was asked for, without its port; one that is not ours is answered with ours
    name = f"^((?:[^.:]+[.])?{_quoted(site.name)})(?::[0-9]+)?$" if wild else f"^({_quoted(site.name)})(?::[0-9]+)?$"
    certbot = f"""    Alias "{CHALLENGE}" "{layout.challenges}{CHALLENGE}"
    <Directory "{layout.challenges}">
        Require all granted
        AllowOverride None
        Options None
    </Directory>
"""
    return f"""<VirtualHost *:{machine.http_port}>
{_names(site)}
{certbot if machine.certificates is Certificates.CERTBOT else ""}    RewriteEngine On
    RewriteCond %{{REQUEST_URI}} "^{CHALLENGE.replace(".", "[.]")}"
    RewriteRule ^ - [L]
    # as it was written: %2F, %3F and %40 stay
    AllowEncodedSlashes NoDecode
    RewriteCond %{{HTTP_HOST}} "!{name}" [NC]
    RewriteRule ^ - [R=421,L]
    RewriteCond %{{HTTP_HOST}} "{name}" [NC]
    RewriteRule ^ - [E=DOOR_HOST:%1]
    <IfVersion >= 2.4.60>
        RewriteCond %{{THE_REQUEST}} "^[A-Z]+ (/[^ ]*)"
        RewriteRule ^ "https://%{{ENV:DOOR_HOST}}{port}%1" [R=308,NE,L,UnsafeAllow3F]
    </IfVersion>
    <IfVersion < 2.4.60>
        RewriteCond %{{THE_REQUEST}} "^[A-Z]+ (/[^ ]*)"
        RewriteRule ^ "https://%{{ENV:DOOR_HOST}}{port}%1" [R=308,NE,L]
    </IfVersion>
    CustomLog {layout.logs(site.name)} {LOG_FORMAT}
    ErrorLog {layout.logs(f"{site.name}-error")}
</VirtualHost>
"""


def _tls_head(machine: Machine, site: HubSite | OtherSite) -> str:
    chain, key = Layout(machine).certificate(site)
    before = after = ""
    if machine.certificates is not Certificates.MD:
        # Apache does not start where a certificate is missing: without this there would never be a first one
        before = f'# from the first certificate on\n<IfFile "{chain}">\n'
        after = f"\n    SSLCertificateFile {chain}\n    SSLCertificateKeyFile {key}"
    return f"""{before}<VirtualHost *:{machine.https_port}>
{_names(site)}
    # HTTP/2 for pages and files. Websockets come by HTTP/1.1: H2WebSockets stays off (decision 21).
    Protocols h2 http/1.1
    SSLEngine on{after}
"""


def _tls_foot(machine: Machine) -> str:
    return "" if machine.certificates is Certificates.MD else "</IfFile>\n"
