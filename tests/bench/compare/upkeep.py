"""What is done by hand for the same ends, command by command: what the page counts. Nothing is counted that a program
does by itself, and nothing that is left out is done by anybody.

Commands of Compose and PDSHub are those of this manual, which tests execute; those of the Littlest JupyterHub are its
documentation's, as of the commit that is named with it, or what any machine needs where it has no page for it.
"""

from __future__ import annotations

from dataclasses import dataclass

COMPOSE, TLJH, PDSHUB = WAYS = ("Compose", "TLJH", "PDSHub")
"""As pages name them, in that order."""


@dataclass(frozen=True)
class Work:
    """One thing that is done by hand in one of them. ``lacks``: what is not there afterwards, in a few words."""

    task: str
    way: str
    commands: tuple[str, ...]
    lacks: str = ""


ADD, UPDATE, RESTORE, RENEW, RELEASE = TASKS = (
    "let somebody in", "update the hub, with a way back", "bring one file back", "renew a certificate", "release data",
)  # fmt: skip
_SAVE_VOLUME = (
    "docker run --rm -v pdshub-sbn-data:/data -v /srv/copies:/copies debian tar -C /data -czf /copies/data.tgz ."
)
_HOME = "/var/lib/docker/volumes/pdshub-sbn-home-ada"
WORK = (
    Work(
        ADD, COMPOSE,
        ("echo cyd@example.org >>/srv/pdshub/sbn/people/allowed.txt", "pdshub-compose people /srv/pdshub/sbn"),
    ),
    Work(ADD, TLJH, ("tljh-config add-item users.allowed cyd", "tljh-config reload hub")),
    Work(ADD, PDSHUB, ("kubectl pdshub users add cyd@example.org",)),
    Work(
        UPDATE, COMPOSE,
        (
            _SAVE_VOLUME,
            "pdshub-compose render -f hub.yaml --installation images.yaml --to /srv/pdshub/sbn",
            "docker compose pull",
            "docker compose run --rm hub jupyterhub upgrade-db",
            "docker compose up -d",
        ),
    ),
    Work(
        UPDATE, TLJH,
        (
            "tar -czf /srv/copies/state.tgz /opt/tljh/state",
            "curl -L https://tljh.jupyter.org/bootstrap.py | python3 - --version=latest",
        ),
        "the former programs: only the state was copied",
    ),
    Work(UPDATE, PDSHUB, ("helm upgrade pdshub charts/pdshub -n pdshub-system -f images.yaml --wait",)),
    Work(
        RESTORE, COMPOSE,
        (
            f"restic restore latest --include {_HOME} --target /srv/back",
            f"mkdir {_HOME}/_data/restored",
            f"cp -a /srv/back{_HOME}/_data/x.ipynb {_HOME}/_data/restored/",
            f"chown -R 1000:100 {_HOME}/_data/restored",
        ),
        "backups: whoever runs the machine has to have made them",
    ),
    Work(
        RESTORE, TLJH,
        (
            "restic restore latest --include /home/jupyter-ada --target /srv/back",
            "mkdir /home/jupyter-ada/restored",
            "cp -a /srv/back/home/jupyter-ada/x.ipynb /home/jupyter-ada/restored/",
            "chown -R jupyter-ada: /home/jupyter-ada/restored",
        ),
        "backups: whoever runs the machine has to have made them",
    ),
    Work(RESTORE, PDSHUB, ("kubectl pdshub restore user ada@example.org --path x.ipynb --at yesterday",)),
    Work(RENEW, COMPOSE, ()),
    Work(RENEW, TLJH, ()),
    Work(RENEW, PDSHUB, ()),
    Work(
        RELEASE, COMPOSE,
        (
            "pdshub-compose archive survey /srv/pdshub/sbn",
            "pdshub-compose archive release /srv/pdshub/sbn 0123456789ab",
            "pdshub-compose archive mount /srv/pdshub/sbn",
        ),
        "a look at what it would change, and who approved it",
    ),
    Work(
        RELEASE, TLJH,
        (
            "rsync -a nas.example.org::pds/orex/ /srv/data/orex.new/",
            "mv /srv/data/orex /srv/data/orex.old",
            "mv /srv/data/orex.new /srv/data/orex",
        ),
        "a decision which copy is shown, a name that can be cited, and what users have open",
    ),
    Work(RELEASE, PDSHUB, ("kubectl pdshub archive diff sbn", "kubectl pdshub archive approve sbn --reason checked")),
)  # fmt: skip
"""In the order of the tasks. An ACME certificate is renewed by each of the three's own door, once it was set up."""


def of(task: str, way: str) -> Work:
    """What is done by hand for it. Raises StopIteration where that is not written down."""
    return next(work for work in WORK if (work.task, work.way) == (task, way))
