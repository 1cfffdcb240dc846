"""The groups of keys of a run configuration, one a module; `pipeline.config.RunConfig` puts them together."""
