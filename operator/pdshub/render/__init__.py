"""From a spec to Helm values and Kubernetes objects: pure functions, no input or output."""
