"""Settings of every user's server, and what its home holds at the first start.

The home is usually a volume that was empty when it was mounted over the image's own, so the welcome notebook
can't simply lie there. It is put in place at each start when it is missing, and never over a file that is there.
Loaded by jupyterhub-singleuser from the system's Jupyter configuration folder.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

WELCOME = Path("/usr/local/share/pdshub/welcome.ipynb")


def prepare_home(home: Path, welcome: Path, archive: Path) -> None:
    """Put the welcome notebook and a link to the archive into ``home``, each only where nothing has that name.

    A full, read-only or otherwise unwilling home is no reason for a server not to start: errors are printed, and
    a half-written notebook never gets the final name.
    """
    notebook = home / welcome.name
    if not os.path.lexists(notebook):
        partial = home / f".{welcome.name}.{os.getpid()}"
        try:
            partial.write_bytes(welcome.read_bytes())
            os.link(partial, notebook)  # unlike rename, never replaces a file that came meanwhile
        except OSError as error:
            print(f"welcome notebook not written: {error}", file=sys.stderr)
        with contextlib.suppress(OSError):
            partial.unlink()
    # JupyterLab's file browser shows only what lies below the home.
    if archive.is_dir() and not os.path.lexists(home / "archive"):
        try:
            (home / "archive").symlink_to(archive)
        except OSError as error:
            print(f"link to {archive} not made: {error}", file=sys.stderr)


def full_home_banner(why: str) -> str:
    """A style sheet that says at JupyterLab's lower edge that the home has no room, for as long as this server runs.

    A document or a notification would be closed and forgotten, while nothing can be saved.
    """
    words = (
        f"Your home has no room left ({why}): nothing can be saved. Your files are there. Delete what you no longer "
        "need, in the file browser or in a terminal, then stop and start your server (File, Hub Control Panel)."
    )
    # a string of CSS: nothing may end it
    text = "".join(character if character.isascii() and character.isprintable() else " " for character in words)
    text = text.replace("\\", " ").replace('"', "'")
    return (
        f'body::after {{ content: "{text}"; position: fixed; left: 0; right: 0; bottom: 24px; z-index: 10000;'
        " padding: 10px 20px; background: #8c1d18; color: #fff; font: 14px/1.4 sans-serif; text-align: center;"
        " pointer-events: none; }\n"
    )


def show_full_home(why: str, config: Path) -> None:
    """Put the style sheet where JupyterLab looks for a user's own. ``config``: start-server's folder in scratch."""
    try:
        (config / "custom").mkdir(parents=True, exist_ok=True)
        (config / "custom" / "custom.css").write_text(full_home_banner(why))
    except OSError as error:
        print(f"no word in JupyterLab about the full home: {error}", file=sys.stderr)


def kernels_of_the_image_first(home: Path) -> Any:
    """A manager of kernels to which those in ``home`` come last: none takes the place of one of the image's.

    Where the hub leaves out what homes configure, Jupyter finds no kernel there at all. A kernel is the user's own
    program, however: what it is called in a home is no danger to the server.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    class ImageFirst(KernelSpecManager):  # type: ignore[misc]
        def _kernel_dirs_default(self) -> list[str]:
            found = super()._kernel_dirs_default()
            own = [one for one in found if Path(one).is_relative_to(home)]
            last = str(home / ".local/share/jupyter/kernels")
            return [*(one for one in found if one not in own), *(own if last in own else [last, *own])]

    return ImageFirst


def browser_settings(environ: Any) -> dict[str, Any]:
    """Headers and cookie flags of this server. ``environ``: the variables that the hub gives it.

    The hub says whether people come by TLS, and the flags of cookies. That no page shows this server in a frame is
    JupyterHub's own header.
    """
    cookies = json.loads(environ.get("JUPYTERHUB_COOKIE_OPTIONS") or "{}")
    if environ.get("JUPYTERHUB_HOST", "").startswith("https://"):
        cookies["secure"] = True
    headers = {
        # other origins, among them the servers of others, get no hold of a window of this one, and load nothing from it
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
    }
    return {"headers": headers, "xsrf_cookie_kwargs": cookies}


# PDSHUB_ARCHIVE is the view's folder; the link leads to the folder above, which is there before the archive is.
prepare_home(Path.home(), WELCOME, Path(os.environ.get("PDSHUB_ARCHIVE", "/archive/view")).parent)

c = get_config()  # type: ignore[name-defined]  # noqa: F821  (given by traitlets)
# start-server knows a first start: this file may be read more than once. An admin's own first page goes before it.
if os.environ.get("PDSHUB_FIRST_START") and not os.environ.get("JUPYTERHUB_DEFAULT_URL"):
    c.ServerApp.default_url = f"/lab/tree/{WELCOME.name}"
if os.environ.get("PDSHUB_RESCUE"):  # set by start-server
    show_full_home(os.environ["PDSHUB_RESCUE"], Path(os.environ["JUPYTER_CONFIG_DIR"]))
    c.LabApp.custom_css = True
# The image is updated by whoever keeps the hub: nobody is asked about news or told of versions.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
# Deleted means deleted: a trash folder would fill the home's quota where nobody looks.
c.FileContentsManager.delete_to_trash = False
c.ServerApp.tornado_settings = browser_settings(os.environ)
c.ServerApp.kernel_spec_manager_class = kernels_of_the_image_first(Path.home())
# The hub culls idle servers; kernels are left to their users.
c.MappingKernelManager.cull_idle_timeout = 0
# The image has no language server; looking for some thirty of them takes part of each start.
# What the hub warns people of, for JupyterLab.
sys.path.append("/usr/local/lib/pdshub")
c.ServerApp.jpserver_extensions = {"jupyter_lsp": False, "pdshub_warnings": True}
