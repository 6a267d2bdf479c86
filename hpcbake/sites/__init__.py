"""Site configs: YAML in, Site values out, every mistake with its line and column."""
