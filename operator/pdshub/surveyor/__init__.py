"""The surveyor: makes the generations of one view, keeps them and serves them to nodes. It knows no Kubernetes."""
