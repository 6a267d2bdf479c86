"""The same facts of an ELF file as pyelftools reads them, by sections: an independent opinion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.segments import InterpSegment, NoteSegment


def oracle_facts(path: Path) -> dict[str, Any]:
    """The facts of `path`; what needs sections is left out of files that have none."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        facts: dict[str, Any] = {
            "bits": elf.elfclass,
            "little_endian": elf.little_endian,
            "type": elf["e_type"],
            "machine": elf["e_machine"],
            "interpreter": None,
            "needed": (),
            "soname": None,
            "rpath": None,
            "runpath": None,
            "exec_stack": None,
            "kernel": None,
            "build_id": "",
            "isa_needed": 0,
        }
        for segment in elf.iter_segments():
            if isinstance(segment, InterpSegment):
                facts["interpreter"] = segment.get_interp_name()
            elif isinstance(segment, DynamicSegment):
                facts |= _dynamic(segment)
            elif segment["p_type"] == "PT_GNU_STACK":
                facts["exec_stack"] = bool(segment["p_flags"] & 1)
            elif isinstance(segment, NoteSegment):
                facts |= _notes(segment)
        if elf.num_sections() > 1:
            facts |= _versions(elf)
        return facts


def _dynamic(segment: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"needed": ()}
    for tag in segment.iter_tags():
        kind = tag.entry.d_tag
        if kind == "DT_NEEDED":
            facts["needed"] += (tag.needed,)
        elif kind in ("DT_SONAME", "DT_RPATH", "DT_RUNPATH"):
            facts.setdefault(kind[3:].lower(), getattr(tag, kind[3:].lower()))
    return facts


def _notes(segment: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for note in segment.iter_notes():
        if note["n_name"] != "GNU":
            continue
        if note["n_type"] == "NT_GNU_ABI_TAG" and note["n_desc"]["abi_os"] == "ELF_NOTE_OS_LINUX":
            tag = note["n_desc"]
            facts["kernel"] = (tag["abi_major"], tag["abi_minor"], tag["abi_tiny"])
        elif note["n_type"] == "NT_GNU_BUILD_ID":
            facts["build_id"] = note["n_desc"]
        elif note["n_type"] == "NT_GNU_PROPERTY_TYPE_0":
            for item in note["n_desc"]:
                if item["pr_type"] == "GNU_PROPERTY_X86_ISA_1_NEEDED":
                    facts["isa_needed"] = item["pr_data"]
    return facts


def _versions(elf: Any) -> dict[str, Any]:
    needs: tuple[tuple[str, str, bool], ...] = ()
    offers: tuple[str, ...] = ()
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            needs += tuple(
                (str(need.name), version.name, bool(version["vna_flags"] & 2))
                for need, versions in section.iter_versions()
                for version in versions
            )
        elif isinstance(section, GNUVerDefSection):
            for definition, names in section.iter_versions():
                first = next(iter(names), None)
                if first is not None and not definition["vd_flags"] & 1:
                    offers += (first.name,)
    return {"needs": needs, "offers": offers}
