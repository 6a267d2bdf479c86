"""The command line: one file per verb, and nothing here but arguments in and text out."""
