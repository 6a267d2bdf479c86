"""How much room a delivery needs, by its way. Measured with apptainer 1.4 on images of 0.1 to 1.3 GB."""

from __future__ import annotations

#: apptainer unpacks the layers and writes the SIF beside them: 2.5 times the compressed size, and the SIF.
ROOM_FACTOR = 3.5
#: A SIF that comes as it is lies there once, and once more in the runtime's temporary copy.
SIF_ROOM_FACTOR = 2.1
ROOM_FLOOR_KB = 4096


def conversion_kb(image_bytes: int) -> int:
    """Kilobytes for pulling and converting an image of so many compressed bytes."""
    return ROOM_FLOOR_KB + int(image_bytes * ROOM_FACTOR / 1024)


def sif_kb(sif_bytes: int) -> int:
    """Kilobytes for taking a SIF of so many bytes."""
    return ROOM_FLOOR_KB + int(sif_bytes * SIF_ROOM_FACTOR / 1024)
