"""From history lines to Dockerfile lines."""

from __future__ import annotations

import pytest

from hpcbake.bakefile.dockerfile import DOCKERFILE, parse_dockerfile
from hpcbake.bakefile.source import SourceFile
from hpcbake.check.places import with_places
from hpcbake.image.scan import ScannedImage
from tests.image_builder import scanned

TEXT = """\
ARG VERSION=3.11
FROM debian AS builder
RUN make
FROM rocky AS base
RUN dnf install -y \\
    gcc
FROM base AS final
ARG NAME
WORKDIR /app
COPY --from=builder --chown=1:1 /out/ /opt/tools/
RUN echo $NAME > /name && \\
    ldconfig
COPY ["a file", "/app/"]
FROM final AS other
RUN true
"""


def placed(*history: str, target: str | None = "final") -> list[str]:
    image: ScannedImage = scanned(*({f"f{number}": b""} for number in range(len(history))), history=history)
    dockerfile = parse_dockerfile(SourceFile("Dockerfile", TEXT, DOCKERFILE))
    return [layer.instruction for layer in with_places(image, dockerfile, target).layers]


def test_every_layer_gets_its_line() -> None:
    """BuildKit's spelling of each instruction is found again, with the flags that history leaves out."""
    assert placed(
        "ADD rootfs.tar /",
        "RUN /bin/sh -c dnf install -y     gcc # buildkit",
        "WORKDIR /app",
        "COPY --chown=1:1 /out/ /opt/tools/ # buildkit",
        "RUN |1 NAME=x /bin/sh -c echo $NAME > /name &&     ldconfig # buildkit",
        "COPY a file /app/ # buildkit",
    ) == [
        "ADD rootfs.tar /",
        "RUN dnf install -y gcc (Dockerfile:5)",
        "WORKDIR /app (Dockerfile:9)",
        "COPY --from=builder --chown=1:1 /out/ /opt/tools/ (Dockerfile:10)",
        "RUN echo $NAME > /name && ldconfig (Dockerfile:11)",
        'COPY ["a file", "/app/"] (Dockerfile:13)',
    ]


def test_lines_of_other_stages_are_not_taken() -> None:
    """A stage that the target does not start from made none of its layers."""
    assert placed("RUN /bin/sh -c make") == ["RUN make"]
    assert placed("RUN /bin/sh -c true", target="final") == ["RUN true"]
    assert placed("RUN /bin/sh -c true", target=None) == ["RUN true (Dockerfile:15)"]


@pytest.mark.parametrize("history", ["COPY /other /opt/tools/", "RUN /bin/sh -c echo other", "ADD /out/ /opt/tools/"])
def test_what_is_not_in_the_file_stays(history: str) -> None:
    """No guess where nothing fits."""
    assert "Dockerfile" not in placed(history)[0]


def test_image_without_history_stays() -> None:
    """Nothing to go by."""
    image = scanned({"f": b""})
    dockerfile = parse_dockerfile(SourceFile("Dockerfile", TEXT, DOCKERFILE))
    assert with_places(image, dockerfile).layers == image.layers
