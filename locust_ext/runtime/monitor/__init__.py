"""What the resource monitor reads, a file a place: this process, process families, ports, limits, endpoints."""
