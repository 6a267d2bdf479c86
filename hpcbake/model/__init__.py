"""The frozen nouns of hpcbake. No I/O, no clock, no environment: values in, values out."""
