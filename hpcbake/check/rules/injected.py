"""Host libraries inside the container: what `--nv`, `--rocm`, bound MPI, PMIx or Slurm need from the image."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case
from hpcbake.check.closure import Loaded
from hpcbake.check.roles import Role
from hpcbake.check.rule import Causes, Rule
from hpcbake.model.site import Injection
from hpcbake.model.verdict import Finding, Severity
from hpcbake.model.version import Version

_IMAGE_FIRST_SINCE = Version((1, 5, 0))
_STRICT_STACK_SINCE = Version((2, 41))
_GPU_NAMES = frozenset({"nv", "nvidia", "gpu", "cuda", "rocm", "amd"})
_GLVND = ("libGLX.so.0", "libGLdispatch.so.0", "libOpenGL.so.0", "libEGL.so.1")
_CXX = ("GLIBCXX_", "CXXABI_")
#: Folders that hold libc itself on one distribution or another.
_LIBC_FOLDERS = frozenset(
    {
        "/",
        "/usr",
        "/lib",
        "/lib64",
        "/usr/lib",
        "/usr/lib64",
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib/aarch64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    }
)
_LIBC_FILES = ("libc.so.6", "libpthread.so.0", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1")


def find_too_new(case: Case) -> Iterator[Finding]:
    """Injected libraries that need a newer glibc or libstdc++ than the image has."""
    for injection in case.profile.inject:
        lacking = _lacking(case, injection)
        if lacking:
            yield _too_new(case, injection, lacking)
    yield from _unprobed(case)


def find_exec_stack(case: Case) -> Iterator[Finding]:
    """Libraries that ask for an executable stack, which glibc 2.41 no longer grants to what is opened later."""
    if case.glibc is None or case.glibc < _STRICT_STACK_SINCE:
        return
    remedy = (
        "clear the mark (patchelf --clear-execstack, execstack -c), "
        "or set GLIBC_TUNABLES=glibc.rtld.execstack=2 in the job"
    )
    for injection in case.profile.inject:
        if injection.execstack:
            yield Finding(
                rule=STACK.id,
                severity=Severity.WARNING,
                subject=injection.name,
                message=f"the site's {injection.name} asks for an executable stack, which the image's glibc "
                f"{case.glibc} "
                "refuses to libraries opened at run time",
                remedy=remedy,
            )
    causes = Causes()
    for start in case.loads:
        if start.subject.role is not Role.LEFTOVER and start.subject.elf.exec_stack is not False:
            causes.cause(Severity.WARNING, case.origin(start.subject.node)).add(start.subject.path, start.subject.role)
    for cause in causes:
        asks = "ask" if len(cause.paths) > 1 else "asks"
        yield Finding(
            rule=STACK.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others} {asks} for an executable stack, which the image's glibc {case.glibc} "
            "refuses to libraries opened at run time",
            remedy=remedy,
            origin=cause.origin,
            paths=cause.sorted_paths(),
        )


def find_bound_libc(case: Case) -> Iterator[Finding]:
    """Binds that lay the host's libc over or beside the image's."""
    path = case.image.config.variable("LD_LIBRARY_PATH") or ""
    searched = {part.rstrip("/") for part in path.split(":") if part}
    for bind in case.profile.binds:
        source, _, rest = bind.partition(":")
        target = (rest.partition(":")[0] or source).rstrip("/") or "/"
        source = source.rstrip("/") or "/"
        covers = target in _LIBC_FOLDERS or target.rpartition("/")[2] in _LIBC_FILES
        if covers or (source in _LIBC_FOLDERS and target in searched):
            how = (
                f"is bound over {target}"
                if covers
                else f"is bound to {target}, which LD_LIBRARY_PATH of the image names"
            )
            yield Finding(
                rule=BOUND.id,
                severity=Severity.ERROR,
                subject=bind,
                message=f"the host's {source} {how}: the image's loader would meet the host's libc.so.6",
                remedy="bind the single library files that are needed, into a folder of their own, never a folder that "
                "holds libc",
                evidence={"bind": bind, "LD_LIBRARY_PATH": path},
            )


def _lacking(case: Case, injection: Injection) -> dict[str, str]:
    """Each version that the image does not offer, with what the image has instead."""
    if case.libc is None:
        return {}
    libc_offers = case.libc[2].offers
    cxx = case.loader.look_up("libstdc++.so.6", case.base) if case.base else None
    lacking = {}
    for need in injection.needs:
        if need.startswith("GLIBC_") and libc_offers and need not in libc_offers:
            lacking[need] = f"the image's glibc is {case.glibc or 'older'}"
        elif need.startswith(_CXX):
            if not isinstance(cxx, Loaded):
                lacking[need] = "the image has no libstdc++.so.6"
            elif need not in cxx.elf.offers:
                lacking[need] = f"the image's {cxx.path} does not define it"
    return lacking


def _too_new(case: Case, injection: Injection, lacking: dict[str, str]) -> Finding:
    versions = ", ".join(lacking)
    image_wins = _image_wins(case, injection)
    order = " (apptainer 1.5 and newer search the image's own copies first)" if image_wins else ""
    return Finding(
        rule=INJECTED.id,
        severity=Severity.WARNING if image_wins else Severity.ERROR,
        subject=injection.name,
        message=f"the site's {injection.name} is put into every container and needs {versions}, but "
        f"{next(iter(lacking.values()))}{order}",
        remedy="start the final image from a base at least as new as the host, or have the site leave that library out "
        "(nvliblist.conf, binds)",
        evidence={"injected": injection.name, "needs": list(injection.needs), "lacking": dict(lacking)},
    )


def _image_wins(case: Case, injection: Injection) -> bool:
    """From apptainer 1.5.0 on `--nv` puts host libraries last: an image with its own GLVND never loads the host's."""
    if injection.name.lower() not in _GPU_NAMES or case.base is None:
        return False
    if case.profile.apptainer is None or case.profile.apptainer < _IMAGE_FIRST_SINCE:
        return False
    return any(isinstance(case.loader.look_up(name, case.base), Loaded) for name in _GLVND)


def _unprobed(case: Case) -> Iterator[Finding]:
    """A GPU site whose injected libraries nobody looked at: assume that they were built for the host."""
    mode = case.profile.gpu.mode
    if mode == "none" or any(injection.name.lower() in _GPU_NAMES for injection in case.profile.inject):
        return
    host = case.profile.glibc
    if host is not None and case.glibc is not None and case.glibc < host:
        yield Finding(
            rule=INJECTED.id,
            severity=Severity.WARNING,
            subject=f"--{mode}",
            message=f"the site injects GPU libraries of a host with glibc {host}; some of them may need more than the "
            f"image's glibc {case.glibc}",
            remedy="list what they need under `inject` in the profile, or start the final image from a base at "
            "least as new as "
            "the host",
            evidence={"host_glibc": str(host), "image_glibc": str(case.glibc), "probed": False},
        )


INJECTED = Rule(
    "injected-too-new",
    "a host library in the container needs a newer glibc than the image has",
    "`--nv` and bound MPI libraries run inside the container, on the image's glibc. They were built for the host: on a "
    "newer host an older image cannot load them. This is the one place where the two glibc versions meet.",
    find_too_new,
)
STACK = Rule(
    "exec-stack",
    "a library asks for an executable stack",
    "glibc 2.41 and newer refuse to dlopen a library that is marked as needing an executable stack.",
    find_exec_stack,
)
BOUND = Rule(
    "libc-bound",
    "a bind brings the host's libc into the container",
    "Binding /lib64 or /usr/lib64 mixes two glibc builds: `GLIBC_PRIVATE` errors, or crashes before main.",
    find_bound_libc,
)
