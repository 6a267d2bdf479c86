"""What one ELF file needs and offers, from its program headers alone. Pure."""
