"""The page that a run ends with: what happened, read from the run's artifacts, in one HTML file."""
