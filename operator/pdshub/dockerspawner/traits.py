"""Traits of JupyterHub, DockerSpawner and authenticators: what becomes of each in a PDSHub. Pure.

Source: JupyterHub 1 to 6, DockerSpawner 0.9 to 14, OAuthenticator 0.9 to 17, NativeAuthenticator 1: their reference.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What becomes of something."""

    TAKEN = "taken over"
    COUNTERPART = "has a counterpart"
    NONE = "has none"
    CONTRADICTION = "contradicts"
    UNREAD = "not understood"


@dataclass(frozen=True)
class Trait:
    """A trait that is known. ``now``: its name of today, where it is an old one."""

    verdict: Verdict
    words: str
    now: str = ""
    secret: bool = False


FAMILIES: Mapping[str, tuple[str, ...]] = {
    "Spawner": (),
    "DockerSpawner": ("Spawner",),
    "SystemUserSpawner": ("DockerSpawner", "Spawner"),
    "SwarmSpawner": ("DockerSpawner", "Spawner"),
    "Authenticator": (),
    "OAuthenticator": ("Authenticator",),
    "GoogleOAuthenticator": ("OAuthenticator", "Authenticator"),
    "PDSHubGoogle": ("GoogleOAuthenticator", "OAuthenticator", "Authenticator"),
    "PDSHubDevelopment": ("DummyAuthenticator", "Authenticator"),
    "NativeAuthenticator": ("Authenticator",),
    "DummyAuthenticator": ("Authenticator",),
    "PAMAuthenticator": ("LocalAuthenticator", "Authenticator"),
    "LocalAuthenticator": ("Authenticator",),
    "LDAPAuthenticator": ("Authenticator",),
    "FirstUseAuthenticator": ("Authenticator",),
    "TmpAuthenticator": ("Authenticator",),
    "JupyterHub": (),
    "ConfigurableHTTPProxy": (),
    "CryptKeeper": (),
    "Application": (),
}
"""Classes that a configuration speaks of, and whose traits they have as well."""
_OAUTH = (
    "GitHubOAuthenticator", "GitLabOAuthenticator", "GenericOAuthenticator", "AzureAdOAuthenticator",
    "CILogonOAuthenticator", "GlobusOAuthenticator", "Auth0OAuthenticator", "BitbucketOAuthenticator",
    "MediaWikiOAuthenticator", "OpenShiftOAuthenticator", "OkpyOAuthenticator", "AwsCognitoAuthenticator",
)  # fmt: skip
_MACHINE = "is a matter of the machine: PDSHub sees to it"
_GOOGLE = "people sign in with Google accounts: there is nothing to take over"


def _all(verdict: Verdict, words: str, names: str) -> dict[str, Trait]:
    return {name: Trait(verdict, words) for name in names.split()}


def _old(owner: str, now: str, *names: str) -> dict[str, Trait]:
    found = _TABLE[owner][now]
    return {name: Trait(found.verdict, found.words, now, found.secret) for name in names}


_T, _C, _N = Verdict.TAKEN, Verdict.COUNTERPART, Verdict.NONE
_TABLE: dict[str, dict[str, Trait]] = {
    "Spawner": {
        "mem_limit": Trait(_T, "spec.server.resources.memory.limit"),
        "mem_guarantee": Trait(_T, "spec.server.resources.memory.guarantee"),
        "cpu_limit": Trait(_T, "spec.server.resources.cpu.limit"),
        "cpu_guarantee": Trait(_T, "spec.server.resources.cpu.guarantee"),
        "start_timeout": Trait(_T, "spec.server.startTimeoutSeconds"),
        "notebook_dir": Trait(_T, "where homes are mounted; in a PDSHub that is /home/jovyan"),
        **_all(_C, "spec.values: singleuser.defaultUrl", "default_url"),
        **_all(_C, "spec.values: singleuser.extraEnv", "environment env_keep auth_state_hook"),
        **_all(_C, "spec.values: singleuser.cmd; PDSHub's own image needs none", "cmd args"),
        **_all(_C, "spec.values: hub.config.KubeSpawner", "http_timeout poll_interval consecutive_failure_limit debug"),
        **_all(_N, "is code that DockerSpawner runs; look at what it does",
               "pre_spawn_hook post_stop_hook post_start_hook options_form options_from_form progress_ready_hook "
               "apply_user_options"),
        **_all(_N, _MACHINE, "ip port hub_connect_url ssl_alt_names disable_user_config server_token_scopes "
               "oauth_roles oauth_client_allowed_scopes poll_jitter"),
    },
    "DockerSpawner": {
        "image": Trait(_T, "spec.server.image"),
        "allowed_images": Trait(_T, "spec.server.profiles"),
        "volumes": Trait(_T, "homes, and an ArchiveView for what is read-only"),
        "read_only_volumes": Trait(_T, "an ArchiveView"),
        "mounts": Trait(_T, "homes, and an ArchiveView for what is read-only"),
        "extra_host_config": Trait(_T, "limits among it; the rest belongs to Docker"),
        "escape": Trait(_T, "how homes are found"),
        "format_volume_name": Trait(_T, "how homes are found"),
        "prefix": Trait(_T, "how homes are found"),
        "name_template": Trait(_N, "names of containers: pods have names of their own"),
        "pull_policy": Trait(_C, "defaults.imagePullPolicy of the installation"),
        "remove": Trait(_T, "servers are always removed when they stop: only the home stays"),
        **_all(_N, "is an argument of Docker's API", "extra_create_kwargs client_kwargs tls_config group_add "
               "post_start_cmd extra_start_kwargs volume_driver"),
        **_all(_N, _MACHINE, "network_name use_internal_ip use_internal_hostname host_ip links move_certs_image "
               "certs_volume_name use_docker_client_env tls tls_verify tls_ca tls_cert tls_key tls_assert_hostname "
               "disable_user_config hub_ip_connect container_port"),
    },
    "SystemUserSpawner": {
        "host_homedir_format_string": Trait(_T, "where homes are"),
        "image_homedir_format_string": Trait(_T, "where homes are mounted; in a PDSHub that is /home/jovyan"),
        "run_as_root": Trait(_N, "no server runs as root"),
        **_all(_N, "every server runs as uid 1000, and files become its", "user_id group_id user_ids"),
    },
    "SwarmSpawner": _all(_N, "is of Docker Swarm", "extra_placement_spec extra_resources_spec extra_task_spec "
                         "extra_container_spec extra_endpoint_spec extra_service_kwargs networks"),
    "Authenticator": {
        "allowed_users": Trait(_T, "spec.users.allowed"),
        "admin_users": Trait(_T, "spec.users.admins"),
        "blocked_users": Trait(_T, "spec.users.suspended"),
        "allow_existing_users": Trait(_T, "whoever is in the database is on the list"),
        "allow_all": Trait(_N, "a PDSHub lets in who is on its list: name people, or domains in spec.users.domains"),
        "username_map": Trait(_C, "--names FILE of this command: homes and database get the new names"),
        "refresh_pre_spawn": Trait(_T, "the list is asked at each start of a server"),
        **_all(_N, "names are those of accounts, in lower case", "username_pattern"),
        **_all(_N, "is code that the hub runs; look at what it does", "post_auth_hook pre_spawn_start"),
        **_all(_N, _MACHINE, "auto_login enable_auth_state auth_refresh_age auth_refresh_strict delete_invalid_users "
               "admin_groups any_allow_config manage_groups manage_roles otp_prompt request_otp custom_html "
               "reset_managed_roles_on_startup auto_login_oauth2_authorize"),
    },
    "OAuthenticator": {
        "client_id": Trait(_T, "spec.signIn.google.clientId"),
        "client_secret": Trait(_C, "a Secret that spec.signIn.google.clientSecretRef names", secret=True),
        "oauth_callback_url": Trait(_T, "spec.hostname, and spec.signIn.google.callbackUrl where it differs"),
        **_all(_N, "an access that Google's groups or claims give has to be one of names or domains",
               "allowed_groups admin_groups auth_state_groups_key allowed_scopes"),
        **_all(_N, "the name is the claim email, to the letter", "username_claim userdata_url userdata_params "
               "token_url authorize_url scope extra_authorize_params userdata_token_method userdata_from_id_token "
               "login_service "
               "logout_redirect_url validate_server_cert http_request_kwargs enable_pkce basic_auth_state_hook "
               "modify_auth_state_hook claim_groups_key token_params tls_verify"),
    },
    "GoogleOAuthenticator": {
        "hosted_domain": Trait(_T, "spec.signIn.google.hostedDomains"),
        **_all(_N, "groups of Google can not be asked: name people, or domains", "allowed_google_groups "
               "admin_google_groups google_group_whitelist gsuite_administrator google_service_account_keys "
               "include_google_groups google_api_url"),
        **_all(_N, "names keep their domain: a.b@x and a.b@y are two people", "strip_domain check_hosted_domain"),
    },
    "NativeAuthenticator": _all(_N, f"passwords stay behind; {_GOOGLE}", "open_signup enable_signup "
                                "create_system_users check_common_password minimum_password_length "
                                "allowed_failed_logins "
                                "seconds_before_next_try ask_email_on_signup allow_2fa tos allow_self_approval_for "
                                "secret_key recaptcha_key recaptcha_secret self_approval_email self_approval_server "
                                "import_from_firstuse firstuse_db_path allow_signup"),
    "DummyAuthenticator": {"password": Trait(_N, f"one password for everybody; {_GOOGLE}", secret=True)},
    "LocalAuthenticator": _all(_N, f"accounts of the machine stay behind; {_GOOGLE}", "create_system_users "
                               "add_user_cmd group_whitelist allowed_groups admin_groups uids open_sessions service "
                               "encoding "
                               "check_account pam_normalize_username executor_threads"),
    "PAMAuthenticator": _all(_N, f"accounts of the machine stay behind; {_GOOGLE}", "open_sessions service encoding "
                             "check_account pam_normalize_username executor_threads admin_groups"),
    "LDAPAuthenticator": _all(_N, f"no directory is asked; {_GOOGLE}", "server_address server_port use_ssl "
                              "bind_dn_template allowed_groups user_search_base user_attribute lookup_dn "
                              "lookup_dn_search_user "
                              "lookup_dn_search_password lookup_dn_search_filter tls_strategy valid_username_regex"),
    "FirstUseAuthenticator": _all(_N, f"passwords stay behind; {_GOOGLE}", "dbm_path create_users min_password_length"),
    "TmpAuthenticator": _all(_N, "everybody gets in, and nothing of theirs stays", "process_user force_new_server"),
    "JupyterHub": {
        "spawner_class": Trait(_T, "pods take the place of containers"),
        "authenticator_class": Trait(_T, "spec.signIn"),
        "services": Trait(_T, "spec.culling, for what stops idle servers"),
        "active_server_limit": Trait(_T, "spec.quota.servers"),
        "template_vars": Trait(_T, "spec.message, for an announcement"),
        "load_groups": Trait(_C, "groups come with the database (--database)"),
        "admin_users": Trait(_T, "spec.users.admins"),
        "admin_access": Trait(_C, "admins of a PDSHub may enter servers, and the audit log says when they did"),
        **_all(_C, "spec.values: hub.loadRoles, hub.allowNamedServers, hub.concurrentSpawnLimit and so on",
               "load_roles custom_scopes allow_named_servers named_server_limit_per_user concurrent_spawn_limit "
               "redirect_to_server default_url shutdown_on_logout user_redirect_hook"),
        **_all(_C, "spec.tls", "ssl_key ssl_cert internal_ssl trusted_downstream_ips"),
        **_all(_C, "spec.isolation: Subdomain", "subdomain_host subdomain_hook domain"),
        **_all(_N, "pages are PDSHub's: title, contact and message are fields of the spec", "template_paths logo_file "
               "extra_static_paths template_path"),
        **_all(_N, "a hub has a host name to itself", "base_url"),
        **_all(_C, "the database is converted with --database, and lies on a volume of its own", "db_url db_kwargs"),
        "cookie_secret": Trait(_N, "a PDSHub makes a new one: people sign in once more", secret=True),
        "cookie_secret_file": Trait(_N, "a PDSHub makes a new one: people sign in once more"),
        "proxy_auth_token": Trait(_N, "a PDSHub makes a new one", secret=True),
        "api_tokens": Trait(_N, "tokens are made anew", secret=True),
        "service_tokens": Trait(_N, "tokens are made anew", secret=True),
        **_all(_N, _MACHINE, "ip port bind_url hub_ip hub_port hub_connect_ip hub_connect_url hub_connect_port "
               "hub_bind_url proxy_class cleanup_servers cleanup_proxy log_level data_files_path pid_file config_file "
               "last_activity_interval tornado_settings statsd_host statsd_port init_spawners_timeout extra_handlers "
               "extra_log_file extra_log_handlers proxy_api_ip proxy_api_port proxy_cmd debug_proxy debug_db "
               "token_expires_in_max_seconds "
               "confirm_no_ssl reset_db upgrade_db activity_resolution spawn_throttle_retry_range cookie_max_age_days "
               "authenticate_prometheus answer_yes generate_config implicit_spawn_seconds forwarded_host_header "
               "cookie_host_prefix_enabled public_url recreate_internal_certs oauth_token_expires_in "
               "service_check_interval http_timeout show_config load_config allow_csrf"),
    },
    "ConfigurableHTTPProxy": {
        "auth_token": Trait(_N, "a PDSHub makes a new one", secret=True),
        **_all(_N, _MACHINE, "command api_url should_start debug pid_file check_running_interval concurrency "
               "log_level"),
    },
    "CryptKeeper": {
        "keys": Trait(_C, "a PDSHub makes keys of its own; the old ones are asked for where the database needs them",
                      secret=True),
        "n_threads": Trait(_N, _MACHINE),
    },
    "Application": _all(_N, _MACHINE, "log_level log_format log_datefmt show_config"),
}  # fmt: skip
_TABLE["Authenticator"] |= _old("Authenticator", "allowed_users", "whitelist") | _old(
    "Authenticator", "blocked_users", "blacklist"
)
_TABLE["DockerSpawner"] |= (
    _old("DockerSpawner", "image", "container_image")
    | _old("DockerSpawner", "allowed_images", "image_whitelist")
    | _old("DockerSpawner", "remove", "remove_containers")
    | _old("DockerSpawner", "host_ip", "container_ip")
    | _old("DockerSpawner", "prefix", "container_prefix")
    | _old("DockerSpawner", "name_template", "container_name_template")
)
for _name in _OAUTH:
    _TABLE[_name] = _all(
        _N, f"accounts of another provider; {_GOOGLE}", "allowed_organizations github_url hostname tenant_id "
        "allowed_gitlab_groups allowed_idps populate_teams_in_auth_state gitlab_url team_whitelist auth0_domain "
        "organization_whitelist github_organization_whitelist auth0_subdomain project_id_whitelist",
    )  # fmt: skip


def family(owner: str, bases: Mapping[str, str]) -> list[str]:
    """The classes whose traits a class has, itself first. ``bases``: those that a configuration makes itself."""
    found = [owner]
    name = owner
    for _ in range(8):
        name = bases.get(name, "").rpartition(".")[2]
        if not name or name in found:
            break
        found.append(name)
    last = found[-1]
    local = last.startswith("Local") and last.endswith("OAuthenticator")
    if local:
        last = last.removeprefix("Local")
        found.append(last)
    above = ("OAuthenticator", "Authenticator") if last in _OAUTH else FAMILIES.get(last, ())
    return [*found, *above, *(("LocalAuthenticator",) if local else ())]


def find(owner: str, name: str, bases: Mapping[str, str]) -> Trait | None:
    """What is known of a trait, also by an old name; None where there is none of that name."""
    return next((_TABLE[each][name] for each in family(owner, bases) if name in _TABLE.get(each, {})), None)


def is_class(owner: str, bases: Mapping[str, str]) -> bool:
    """Whether anything is known of a class."""
    return any(each in _TABLE for each in family(owner, bases))


def near(owner: str, name: str, bases: Mapping[str, str]) -> str:
    """The trait that was meant by a name that is none; empty where none is like it."""
    known: Sequence[str] = [known for each in family(owner, bases) for known in _TABLE.get(each, {})]
    return next(iter(difflib.get_close_matches(name[:64], known, 1, 0.8)), "")


def near_class(owner: str) -> str:
    """The class that was meant by a name that is none; empty where none is like it."""
    return next(iter(difflib.get_close_matches(owner[:64], list(_TABLE), 1, 0.8)), "")
