"""SASL mechanisms, server side: bytes of a client in, a challenge or an identity out."""
