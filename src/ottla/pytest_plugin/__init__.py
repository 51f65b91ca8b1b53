"""pytest fixtures: a real Kafka for every test session, ready and isolated."""
