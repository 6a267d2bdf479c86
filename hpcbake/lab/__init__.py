"""The lab: a real miniature cluster on one machine, up and down with one command."""
