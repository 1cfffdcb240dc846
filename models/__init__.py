"""Features, transform graph, backbones, language model, alignment and distillation.

Nothing is imported here: reading a dataset specification must not load TensorFlow.
"""
