"""Decides what the user meant by IMAGE: something on this machine, or a reference to a registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hpcbake.adapters.layout import ArchiveShelf, DockerArchiveSource, FolderShelf, LayoutSource, Shelf, walk_root
from hpcbake.adapters.sif import is_sif, scan_sif
from hpcbake.errors import UncheckedError
from hpcbake.image.manifest import ImageConfig
from hpcbake.image.scan import BlobSource, FactCache, ScannedImage, scan_folder, scan_image

#: What only a path can start with.
_PATH_STARTS = ("/", "./", "../", "~")
_SCHEMES = ("oci:", "oci-archive:", "docker-archive:", "dir:", "sif:")


def scan_local_image(
    text: str, *, cache: FactCache | None = None, platform: str = "linux/amd64"
) -> ScannedImage | None:
    """Scan `oci:PATH[:TAG]`, `docker-archive:PATH[:NAME]`, `sif:PATH`, `dir:PATH`, or a path; None for anything else.

    Raises UncheckedError when the path is there but holds no image.
    """
    scheme, rest = next(((one, text[len(one) :]) for one in _SCHEMES if text.startswith(one)), ("", text))
    place, reference = _split(rest, is_path=bool(scheme))
    if place is None:
        if scheme or text.startswith(_PATH_STARTS):
            raise UncheckedError(f"{rest} does not exist", remedy="check the path", kind="image.not-an-image")
        return None
    if scheme == "dir:" or (place.is_dir() and not (place / "oci-layout").is_file()):
        return _scan_root(place)
    if place.is_file() and (scheme == "sif:" or is_sif(place)):
        return scan_sif(place)
    source = _open_source(place, reference, scheme)
    return scan_image(source, cache=cache, platform=platform)


def _split(text: str, *, is_path: bool) -> tuple[Path | None, str]:
    """`PATH:TAG` → path and tag; the longest existing path wins. A bare word only counts as a path with a slash."""
    if not is_path and not text.startswith((".", "/", "~")) and not Path(text).exists():
        return None, ""
    head, reference = text, ""
    while head:
        place = Path(head).expanduser()
        if place.exists():
            return place, reference
        head, _, last = head.rpartition(":")
        reference = f"{last}:{reference}" if reference else last
    return None, ""


def _open_source(place: Path, reference: str, scheme: str) -> BlobSource:
    shelf: Shelf = FolderShelf(place) if place.is_dir() else ArchiveShelf(place)
    has_layout = _has(shelf, "index.json") and _has(shelf, "oci-layout")
    makers: list[tuple[bool, Callable[[Shelf, str], BlobSource]]] = [
        (has_layout and scheme != "docker-archive:", LayoutSource),
        (_has(shelf, "manifest.json"), DockerArchiveSource),
        (has_layout, LayoutSource),
    ]
    for fits, make in makers:
        if fits:
            return make(shelf, reference)
    raise UncheckedError(
        f"{place} holds no image: neither an OCI layout nor a `docker save` archive",
        remedy="name an image reference, an OCI layout, a `docker save` archive, a SIF or an unpacked root folder",
        kind="image.not-an-image",
    )


def _has(shelf: Shelf, name: str) -> bool:
    file = shelf.open(name)
    if file is None:
        return False
    file.close()
    return True


def _scan_root(place: Path) -> ScannedImage:
    if not place.is_dir():
        raise UncheckedError(f"{place} is no folder", remedy="check the path", kind="image.not-an-image")
    problems: list[str] = []
    scanned = scan_folder(str(place), walk_root(place, problems), ImageConfig(), problems)
    if all(node.elf is None for _, node in scanned.tree.walk()):
        # Any folder would pass otherwise: nothing in it can fail.
        raise UncheckedError(
            f"{place} holds no image: no OCI layout, and no program in it as in an unpacked root folder",
            remedy="name an image reference, an OCI layout, a `docker save` archive, a SIF or an unpacked root folder",
            kind="image.not-an-image",
        )
    return scanned
