"""Fraud detection: bank accounts in a topic, each checked by Veritas (`ottla demo fraud`)."""
