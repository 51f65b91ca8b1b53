"""One module per API, the registry, and `dispatch`, the entry to the core."""
