"""tensorflow-datasets builders that read the official archives of public click and rating logs."""
