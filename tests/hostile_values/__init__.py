"""Every value of a hub chart that may hold a text, attacked: none becomes an object that a hub may not have.

The chart is rendered by helm, offline, and what comes out is judged by the operator's own rules; what these let pass is
read once more, by other code and in the ways in which YAML, Helm and kubectl differ.
"""
