"""BuiltImage and Site to CompatReport: will this image run there, and if not, what to change."""
