"""One machine without Kubernetes: Docker Compose files from a PDSHub, and what keeps its list and its archive there."""
