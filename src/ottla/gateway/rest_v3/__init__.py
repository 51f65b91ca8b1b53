"""API v3: resources of a cluster with links to one another, and records."""
