"""An OCI image as one merged file system, streamed layer by layer; nothing is extracted or executed."""
