"""The node plugin: mounts sources, forms views and shows them in pods. README.md has a map."""
