"""Scripts behind every figure that the project prints."""
