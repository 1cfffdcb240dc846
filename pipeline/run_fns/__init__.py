"""What the Trainers run, named by dotted path: one module a stage."""
