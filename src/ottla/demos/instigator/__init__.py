"""Instigator: two HTTP services that start and stop a producer and a consumer."""
