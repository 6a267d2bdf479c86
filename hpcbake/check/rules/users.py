"""What an ordinary user of a cluster meets: files only root may read, set-uid bits, no shell, broken entry points."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case
from hpcbake.check.roles import Role
from hpcbake.check.rule import Causes, Rule
from hpcbake.image.tree import Folder, Node
from hpcbake.model.verdict import Finding, Severity

_LARGE_BYTES = 10 * 1024**3
_SETID = 0o6000


def find_unreadable(case: Case) -> Iterator[Finding]:
    """Programs, scripts, extensions and the libraries they load that other users may not open."""
    causes = Causes()
    for path, node, mode, role in _used_files(case):
        folder = _closed_folder(case, path)
        if folder or not node.mode & mode:
            causes.cause(Severity.WARNING, case.origin(node), folder).add(path, role, folder=folder)
    for cause in causes:
        folder = next(iter(cause.details["folder"]))
        why = f"its folder {folder} is closed to them" if folder else "its mode does not let them"
        yield Finding(
            rule=UNREADABLE.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others} cannot be used by ordinary users: {why}",
            remedy=f"install outside {folder}, or RUN chmod a+rX {folder}"
            if folder
            else "RUN chmod a+rX on these files",
            origin=cause.origin,
            paths=cause.sorted_paths(),
        )


def find_setuid(case: Case) -> Iterator[Finding]:
    """Set-uid programs and file capabilities: without effect in a container of an ordinary user."""
    paths = [
        path
        for path, node in case.image.tree.walk()
        if node.has_capability or (node.mode & _SETID and node.mode & 0o111)
    ]
    if paths:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield Finding(
            rule=SETUID.id,
            severity=Severity.INFO,
            subject=paths[0],
            message=f"{paths[0]}{more}: set-uid bits and file capabilities have no effect under apptainer",
            paths=tuple(sorted(paths)[:1000]),
        )


def _gains(node: Node) -> bool:
    """Whether starting this file would give more rights outside a container."""
    return node.has_capability or bool(node.mode & _SETID and node.mode & 0o111)


def find_no_shell(case: Case) -> Iterator[Finding]:
    """An image without /bin/sh: `apptainer shell`, runscripts and wrappers need one."""
    if case.image.tree.find_file("/bin/sh") is None:
        yield Finding(
            rule=SHELL.id,
            severity=Severity.WARNING,
            subject="/bin/sh",
            message="the image has no /bin/sh: `apptainer shell`, the runscript and smoke tests by `sh -c` will "
            "not work",
            remedy="start the final stage from a base with a shell, or copy a static busybox to /bin/sh",
        )


def find_broken_entry(case: Case) -> Iterator[Finding]:
    """Entrypoint or Cmd that leads nowhere, or a script whose interpreter is not in the image."""
    for word in case.cast.missing_entries:
        yield Finding(
            rule=ENTRY.id,
            severity=Severity.WARNING,
            subject=word,
            message=f"Entrypoint or Cmd starts {word!r}, which is no executable file of the image",
            remedy="correct ENTRYPOINT/CMD, or copy the program and set its x bits",
        )
    causes = Causes()
    for script in case.cast.scripts:
        if case.image.tree.find_file(script.interpreter) is None:
            severity = Severity.ERROR if script.is_entry else Severity.INFO
            cause = causes.cause(severity, case.origin(script.node), script.interpreter)
            cause.add(script.path, Role.HOT, interpreter=script.interpreter)
    for cause in causes:
        interpreter = next(iter(cause.details["interpreter"]))
        yield Finding(
            rule=ENTRY.id,
            severity=cause.severity,
            subject=cause.best,
            message=f"{cause.best}{cause.others} {cause.need} {interpreter}, which is not in the image"
            + (" (the first line ends with a carriage return)" if interpreter.endswith("\r") else ""),
            remedy="install the interpreter in the final stage"
            if not interpreter.endswith("\r")
            else "save it with LF line ends",
            origin=cause.origin,
            paths=cause.sorted_paths(),
        )


def find_no_mount_point(case: Case) -> Iterator[Finding]:
    """Folders that the site binds and the image does not have: apptainer makes them where it is allowed to."""
    lacking = []
    for bind in case.profile.binds:
        source, _, rest = bind.partition(":")
        target = rest.partition(":")[0] or source
        if case.image.tree.find(target) is None:
            lacking.append(target)
    if lacking:
        yield Finding(
            rule=MOUNT.id,
            severity=Severity.INFO,
            subject=lacking[0],
            message=f"the site binds {', '.join(lacking)}, which the image does not have",
            remedy=f"RUN mkdir -p {' '.join(lacking)} if the site allows neither overlay nor underlay",
            paths=tuple(lacking),
        )


def find_large(case: Case) -> Iterator[Finding]:
    """An image so large that conversion on a login node is a burden."""
    if case.image.size > _LARGE_BYTES:
        yield Finding(
            rule=SIZE.id,
            severity=Severity.WARNING,
            subject=case.image.name,
            message=f"the image has {case.image.size / 1024**3:.1f} GiB compressed",
            remedy="leave compilers and caches behind: a runtime stage that copies only what is needed",
        )


def _used_files(case: Case) -> Iterator[tuple[str, Node, int, Role]]:
    """Every file that somebody uses, with the permission bit that others need for it."""
    closed = ("/usr/sbin", "/sbin", "/usr/local/sbin")  # administrators' tools, closed on purpose
    for subject in case.cast.programs:
        if subject.role is Role.HOT and not subject.path.startswith(closed):
            yield subject.path, subject.node, 0o001, subject.role
    for script in case.cast.scripts:
        if not script.path.startswith(closed):
            yield script.path, script.node, 0o004, Role.HOT
    for subject in case.cast.libraries:
        role = case.reached.get(id(subject.node), subject.role)
        if role in (Role.HOT, Role.EXTENSION):
            yield subject.path, subject.node, 0o004, role


def _closed_folder(case: Case, path: str) -> str:
    """The first folder on the way that others may not enter; empty when there is none."""
    return _closed(case, path.rpartition("/")[0])


def _closed(case: Case, folder: str) -> str:
    if not folder:
        return ""
    known = case.closed_folders
    if folder not in known:
        above = _closed(case, folder.rpartition("/")[0])
        found = case.image.tree.find(folder)
        is_closed = found is not None and isinstance(found.node, Folder) and not found.node.mode & 0o001
        known[folder] = above or (folder if is_closed else "")
    return known[folder]


UNREADABLE = Rule(
    "unreadable",
    "files that ordinary users cannot open",
    "In the container you are yourself, not root. What was installed under /root or with umask 077 is closed to "
    "you where "
    "apptainer is installed set-uid.",
    find_unreadable,
)
SETUID = Rule(
    "setuid",
    "set-uid bits and file capabilities",
    "apptainer mounts images nosuid: sudo, ping and mount inside the image gain nothing.",
    find_setuid,
)
SHELL = Rule(
    "no-shell",
    "the image has no /bin/sh",
    "Images made from scratch run their one program, but nothing that needs a shell.",
    find_no_shell,
)
ENTRY = Rule(
    "broken-entry",
    "the entry point cannot start",
    "`apptainer run` starts what Entrypoint and Cmd name. A script needs the interpreter of its first line in the "
    "image.",
    find_broken_entry,
)
MOUNT = Rule(
    "no-mount-point",
    "the image lacks a folder that the site binds",
    "apptainer makes missing mount points by overlay or underlay; a few sites forbid both.",
    find_no_mount_point,
)
SIZE = Rule(
    "large-image",
    "a very large image",
    "Every site converts and stores it, and every job opens it.",
    find_large,
)
