"""The program of backup Jobs: one action with restic on one item, in a pod without rights.

What it knows it reads from a mounted request (api/backup_job.py); what became of it, it says in the container's
termination message. It speaks to no API server. Everything else is outside and may be hostile: the home that it
reads and writes while its owner works in it, the repository, what restic prints.

The modules, from the top: ``main`` picks the action; one module for each action (``save``, ``give_back``, ``drill``,
``look``, ``keep``); what they share about a home (``home``, ``unpack``, ``digest``, ``patterns``), a database
(``sqlite``), the repository (``repository``, ``snapshots``, ``listing``) and restic itself (``restic``, ``access``,
``verdict``, ``ending``).
"""
