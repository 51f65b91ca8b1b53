"""Sockets, clock and fsync threads around the core."""
