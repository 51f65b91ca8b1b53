"""The verbs of `ottla` that look at a cluster or change it."""
