"""HB-CHECK: images that do not fit a site, and images that could not be read well enough to tell."""

from __future__ import annotations

from hpcbake.catalogue.entry import Entry
from hpcbake.errors import ExitCode

_UNCHECKED = (ExitCode.UNCHECKED,)
_INTEGRITY = (ExitCode.INTEGRITY,)
_BYTES = "Push or save the image again; if it stays, build it anew and look at the disk."

CHECK: tuple[Entry, ...] = (
    Entry(
        "HB-CHECK-001", "image.incompatible", (ExitCode.INCOMPATIBLE,),
        "The image would not run on that site: the findings say which file needs what.",
        "broken-glibc does not fit: /usr/local/bin/greet needs GLIBC_2.38, but the image's own glibc is 2.31",
        "Each finding has its own remedy, and each rule a word in docs/reference/check-rules.md. "
        "`hpcbake check IMAGE --explain PATH` shows how one file is resolved.",
    ),
    Entry(
        "HB-CHECK-002", "image.unchecked", _UNCHECKED,
        "A part of the image could not be read, so nobody says that it fits. That counts as a failure.",
        "micro could not be checked: /bin/cat: a damaged ELF file: the dynamic section lies beyond the end of the "
        "file",
        "Build or copy the file that is named again.",
    ),
    Entry(
        "HB-CHECK-003", "image.ambiguous", _UNCHECKED,
        "A layout or archive holds several images, or none of the name that was given.",
        "oci:layout: more than one image of that name; it holds 1.0, 1.1",
        "Name one of those that are listed: oci:FOLDER:TAG, docker-archive:FILE:NAME:TAG.",
    ),
    Entry(
        "HB-CHECK-004", "image.artifact", _UNCHECKED,
        "The reference names an OCI artifact (a SIF, a chart, a signature), not a container image.",
        "registry.example.org/app:1.0-sif is an OCI artifact (application/vnd.sylabs.sif.config.v1+json), not a "
        "container image",
        "Name the image that it was made from.",
    ),
    Entry(
        "HB-CHECK-005", "image.compression", _UNCHECKED,
        "The SIF is packed in a way that hpcbake does not read.",
        "app.sif: its squashfs is compressed with lzo, which hpcbake cannot read",
        "Check the image it was made from, or build the SIF with gzip or zstd.",
    ),
    Entry(
        "HB-CHECK-006", "image.unreadable-sif", _UNCHECKED,
        "The SIF is whole, but its file system is none that hpcbake reads.",
        "app.sif: its file system is ext3, not squashfs",
        "Check the image it was made from.",
    ),
    Entry(
        "HB-CHECK-007", "image.incomplete-archive", _UNCHECKED,
        "An archive of `docker save` lacks a part that it names.",
        "docker-archive:app.tar lacks its layer '77ab.tar'",
        "Save it again: `docker save -o FILE IMAGE`.",
    ),
    Entry(
        "HB-CHECK-008", "image.limit", _UNCHECKED,
        "The image is larger than hpcbake reads: more files than any sound image has.",
        "limit entries reached: more than 5000000 files",
        "Look for what filled it; a conda or npm cache in a layer is the usual reason.",
    ),
    Entry(
        "HB-CHECK-009", "image.malformed", _UNCHECKED,
        "The description of an image (manifest or config) makes no sense.",
        "docker-archive:app.tar: its manifest.json is damaged",
        _BYTES,
    ),
    Entry(
        "HB-CHECK-010", "image.no-platform", _UNCHECKED,
        "The reference names an index without an image for the sites' processors.",
        "registry.example.org/app:1.0 has no linux/amd64, only linux/arm64",
        'Build it for the sites: platforms = ["linux/amd64"].',
    ),
    Entry(
        "HB-CHECK-011", "image.not-an-image", _UNCHECKED,
        "The path that was given holds no image.",
        "./build holds no image: neither an OCI layout nor a `docker save` archive",
        "Name an image reference, an OCI layout, a `docker save` archive, a SIF or an unpacked root folder.",
    ),
    Entry(
        "HB-CHECK-012", "image.stopped", _UNCHECKED,
        "Reading the image was given up because the run was ended.",
        "stopped",
        "Run the same command again.",
    ),
    Entry(
        "HB-CHECK-013", "image.damaged-layer", _INTEGRITY,
        "A layer, or the file system of a SIF, cannot be unpacked to its end.",
        "layer 3 of app is not a whole tar archive: it ends within a file",
        _BYTES,
    ),
    Entry(
        "HB-CHECK-014", "image.damaged-sif", _INTEGRITY,
        "A file is no SIF, or only a part of one.",
        "app.sif is cut off",
        "Build or pull it again.",
    ),
    Entry(
        "HB-CHECK-015", "image.digest-mismatch", _INTEGRITY,
        "A layout or archive holds other bytes than its own digests name.",
        "blob of oci:layout: sha256:77ab… expected, sha256:00fe… received (1048576 of 1048576 bytes)",
        "Write the layout or archive again.",
    ),
    Entry(
        "HB-CHECK-016", "image.incomplete-layout", _INTEGRITY,
        "An OCI layout lacks a blob that it names.",
        "oci:layout lacks sha256:77ab…",
        "Write the layout again.",
    ),
)  # fmt: skip
