"""The bake language: files and overrides in, a resolved Plan out."""
