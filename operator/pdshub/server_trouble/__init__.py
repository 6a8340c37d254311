"""What hinders the start of a server: one home for it, in the hub's process, which says it to whoever started the
server, and in ``kubectl pdshub why``, which says it to an administrator.

The hub image carries this package alone of the operator's source, so it knows nothing but Python. Pure.
"""
