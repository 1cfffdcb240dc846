"""Ingestion: rows of any source become raw examples, split into train, validation and test."""
