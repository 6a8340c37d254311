"""Every request to JupyterHub goes through here: over the proxy, as people come in, so that an answer proves both."""

from pdshub.hub_api.address import PROXY_SERVICE, base_url, path_of
from pdshub.hub_api.client import HubClient, HubError, connect
from pdshub.hub_api.health import healthy
from pdshub.hub_api.sign_in import Credentials, SignInAttempt, try_sign_in
from pdshub.hub_api.users import HubServer, HubUser

__all__ = [
    "PROXY_SERVICE",
    "Credentials",
    "HubClient",
    "HubError",
    "HubServer",
    "HubUser",
    "SignInAttempt",
    "base_url",
    "connect",
    "healthy",
    "path_of",
    "try_sign_in",
]
