"""Knowledge of PDS archives: labels, surveys, authority and the catalogs of generations. It knows no Kubernetes."""
