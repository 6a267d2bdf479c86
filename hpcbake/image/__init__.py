"""An OCI image as one merged file system, streamed layer by layer; nothing is extracted or executed."""

from __future__ import annotations

from hpcbake.image.layer import LayerEntry, LayerFacts, ScanLimits
from hpcbake.image.manifest import Descriptor, ImageConfig, Manifest, parse_index, parse_layers, select_platform
from hpcbake.image.scan import BlobSource, FactCache, Layer, ScannedImage, scan_folder, scan_image
from hpcbake.image.tree import Folder, Node, Tree

__all__ = [
    "BlobSource",
    "Descriptor",
    "FactCache",
    "Folder",
    "ImageConfig",
    "Layer",
    "LayerEntry",
    "LayerFacts",
    "Manifest",
    "Node",
    "ScanLimits",
    "ScannedImage",
    "Tree",
    "parse_index",
    "parse_layers",
    "scan_folder",
    "scan_image",
    "select_platform",
]
