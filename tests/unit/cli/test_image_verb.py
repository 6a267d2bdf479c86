"""Images on the command line: a name in the store for each, and no two alike."""

from __future__ import annotations

import pytest

from hpcbake.cli.image_verb import split_name
from hpcbake.errors import HpcbakeError


@pytest.mark.parametrize(
    ("text", "name", "reference"),
    [
        ("registry.example.org/team/app:1", "app", "registry.example.org/team/app:1"),
        ("tool=registry.example.org/team/app:1", "tool", "registry.example.org/team/app:1"),
        ("ubuntu", "ubuntu", "ubuntu"),
        ("registry.example.org/team/my.app", "my_app", "registry.example.org/team/my.app"),
        ("A-1_x=ubuntu", "A-1_x", "ubuntu"),
    ],
)
def test_an_image_has_a_name_in_the_store(text: str, name: str, reference: str) -> None:
    """Its own, or the repository's last part."""
    assert split_name(text) == (name, reference)


@pytest.mark.parametrize(
    "text", ["", "=ubuntu", "a b=ubuntu", "../x=ubuntu", "a/b=ubuntu", ".=ubuntu", "$(id)=ubuntu", "UPPER", "é=ubuntu"]
)
def test_a_name_that_is_none_is_refused(text: str) -> None:
    """It becomes a folder's."""
    with pytest.raises(HpcbakeError):
        split_name(text)


@pytest.mark.parametrize("name", ["sif", "modules"])
def test_the_stores_own_folders_are_no_names(name: str) -> None:
    """An image called like one would mix its links with theirs."""
    with pytest.raises(HpcbakeError, match=name):
        split_name(f"{name}=ubuntu")
