"""What PDSHub adds to JupyterHub, inside of the hub's own process: who may sign in, what is written down, its pages.

The hub image carries this package. It knows nothing of the operator but files that are mounted, what is asked over
the hub's API, and package pdshub.server_trouble, which lies beside it in the image.
"""
