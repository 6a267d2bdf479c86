"""The order of stages over images and sites."""
