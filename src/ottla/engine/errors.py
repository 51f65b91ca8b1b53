"""Failures of getting a Kafka, each said in one sentence that names the remedy."""

from __future__ import annotations


class EngineError(Exception):
    """No Kafka could be had; the text is for a person."""


class MissingJavaError(EngineError):
    """Java is missing or too old for Apache Kafka."""


class MissingKafkaError(EngineError):
    """Apache Kafka is not here and could not be fetched."""
