"""Segments, indexes, producer state, recovery, retention and cleaning of logs."""
