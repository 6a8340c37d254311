"""What the kubelet calls: the CSI services and the driver's registration."""
