"""Plan to BuiltImage: BuildKit builds, the registry confirms."""
