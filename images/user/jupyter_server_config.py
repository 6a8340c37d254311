"""Settings of every user's server, and what its home holds at the first start.

The home is usually a volume that was empty when it was mounted over the image's own, so the welcome notebook
can't simply lie there. It is put in place at each start when it is missing, and never over a file that is there.
Loaded by jupyterhub-singleuser from the system's Jupyter configuration folder.
"""

import contextlib
import os
import sys
from pathlib import Path

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


# PDSHUB_ARCHIVE is the view's folder; the link leads to the folder above, which is there before the archive is.
prepare_home(Path.home(), WELCOME, Path(os.environ.get("PDSHUB_ARCHIVE", "/archive/view")).parent)

c = get_config()  # type: ignore[name-defined]  # noqa: F821  (given by traitlets)
# Deleted means deleted: a trash folder would fill the home's quota where nobody looks.
c.FileContentsManager.delete_to_trash = False
# The hub culls idle servers; kernels are left to their users.
c.MappingKernelManager.cull_idle_timeout = 0
# The image has no language server; looking for some thirty of them takes part of each start.
c.ServerApp.jpserver_extensions = {"jupyter_lsp": False}
