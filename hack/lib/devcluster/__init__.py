"""The development cluster: everything behind ``hack/up``, ``hack/down``, ``hack/generate`` and ``hack/test``.

Standard library only, because it must run before anything is installed. Each module holds one part;
``main`` strings them together.
"""
