"""Keras callbacks of the training loop."""
