"""The resources of pdshub.dev/v1alpha1 as pydantic models, a module each; ``crds/`` is generated from them.

Imports no other room of the package, and here nothing at all: short-lived processes that need one model (a backup's
Job, a survey's worker) would build those of all others first, a tenth of a second of a processor each time.
"""
