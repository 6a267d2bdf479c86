"""Variables in the values of a compose document, and the texts that stand for booleans once they are replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.compose.substitution import substitute
from hpcbake.bakefile.compose.tree import Node
from hpcbake.bakefile.csvfields import MalformedValueError
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.model.late import dataclass

Path = tuple[str, ...]

_TRUE: Final = frozenset({"true", "y", "yes", "on", "1", "t"})
_FALSE: Final = frozenset({"false", "n", "no", "off", "0", "f"})
_BOOLEANS: Final = frozenset({"no_cache", "pull", "privileged"})
#: What a bake run looks at; an unset variable elsewhere is none of its business.
_OUR_KEYS: Final = frozenset({"build", "image", "environment", "env_file", "extends"})


@dataclass
class Interpolation:
    """Replaces variables by `environment`; `unset` collects the ones that were used without being set."""

    environment: Mapping[str, str]
    unset: list[Diagnostic] = field(default_factory=list)

    def apply(self, document: Node) -> Node:
        """`document` with every text replaced. Raises BakeFileError for the first that cannot be."""
        return self._node(document, ())

    def _node(self, node: Node, path: Path) -> Node:
        if isinstance(node.value, dict):
            return node.with_value({key: self._node(value, (*path, key)) for key, value in node.value.items()})
        if isinstance(node.value, list):
            return node.with_value([self._node(item, (*path, "[]")) for item in node.value])
        if isinstance(node.value, str):
            return self._text(node, node.value, path)
        return node

    def _text(self, node: Node, text: str, path: Path) -> Node:
        try:
            replaced = substitute(text, self.environment.get, self._note_unset(node, path))
            cast = _find_cast(path)
            return node.with_value(cast(replaced) if cast else replaced)
        except MalformedValueError as malformed:
            raise BakeFileError(
                Diagnostic(
                    codes.COMPOSE_INTERPOLATION,
                    f"{'.'.join(path)}: {malformed.message}",
                    node.span,
                    malformed.help,
                    detail=f"error while interpolating {'.'.join(path)}: {malformed.message}",
                )
            ) from malformed

    def _note_unset(self, node: Node, path: Path) -> Callable[[str], None]:
        def note(name: str) -> None:
            if path[:1] == ("services",) and path[2:3] and path[2] not in _OUR_KEYS:
                return
            warning = Diagnostic(
                codes.COMPOSE_UNSET,
                f"the variable {name} is not set; an empty text is used",
                node.span,
                f"set it, or write ${{{name}:-default}}",
            )
            if all(known.message != warning.message for known in self.unset):
                self.unset.append(warning)

        return note


def _find_cast(path: Path) -> Callable[[str], bool] | None:
    is_build_flag = len(path) == 4 and path[0] == "services" and path[2] == "build" and path[3] in _BOOLEANS
    is_external = len(path) == 3 and path[0] == "secrets" and path[2] == "external"
    return to_boolean if is_build_flag or is_external else None


def to_boolean(text: str) -> bool:
    """The boolean that YAML's many words for it mean. Raises MalformedValueError."""
    folded = text.lower()
    if folded in _TRUE:
        return True
    if folded in _FALSE:
        return False
    raise MalformedValueError(f"invalid boolean: {text}", help="write true or false")
