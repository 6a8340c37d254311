"""PDSHub: a JupyterHub for planetary-science archives on Kubernetes. README.md says what each room holds."""
