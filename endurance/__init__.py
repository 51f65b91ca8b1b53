"""Long trials with figures, for `make endure`: recovery of much data, overload, attacks."""
