"""YAML as nodes: the same places and values whichever of PyYAML's two scanners has read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hpcbake.sites.nodes import compose

_SHIPPED = sorted(Path("site-configs").rglob("*.yaml"))
_TEXTS = [
    "a: null\nb: ~\nc:\nd: ''\ne: \"x\\u00e9\"\n",
    "räume: [ä, ü]\nörter: {straße: 1, 'b': 2}\n",
    "a:\r\n  - 8.10\r\n  - 2.30\r\n",
    "\ufeffa: 1\n",
    "# nothing\n",
    "",
    "a: |\n  one\n  two\nb: >-\n  folded\n  text\n",
    "---\na: 1 # why\n\n...\n",
    "😀: 😀\nb: [😀, 1]\n",
]


def shape(node: yaml.Node | None) -> Iterator[object]:
    if node is None:
        return
    start, end = node.start_mark, node.end_mark
    yield type(node), node.tag, start.line, start.column, end.line, end.column, getattr(node, "style", None) or None
    if isinstance(node, yaml.ScalarNode):
        yield node.value
    for child in node.value if isinstance(node, yaml.CollectionNode) else ():
        for part in child if isinstance(child, tuple) else (child,):
            yield from shape(part)


@pytest.mark.parametrize("text", [*_TEXTS, *(path.read_text() for path in _SHIPPED)])
def test_both_scanners_read_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages point at lines and columns: those of libyaml are those of Python's own."""
    if not yaml.__with_libyaml__:
        pytest.skip("PyYAML without libyaml has one scanner only")
    compose.cache_clear()
    fast = list(shape(compose(text)[0]))
    monkeypatch.setattr(yaml, "CSafeLoader", yaml.SafeLoader)
    compose.cache_clear()
    assert list(shape(compose(text)[0])) == fast
    compose.cache_clear()


@pytest.mark.parametrize("text", ["a: [1\n", "a: b: c\n", "\ta: 1\n", "a: 'x\n", "a: \x07\n", "a: *b\n  - c\n"])
def test_what_is_no_yaml_is_told_in_the_words_of_one(text: str) -> None:
    """Those of Python's scanner, which name what was expected."""
    with pytest.raises(yaml.YAMLError) as ours:
        compose(text)
    with pytest.raises(yaml.YAMLError) as own:
        list(yaml.parse(text, Loader=yaml.SafeLoader))
    assert str(ours.value) == str(own.value)
