"""What ML Metadata keeps of runs: written while they go on, read without TFX or TensorFlow."""
