"""What the pages show as an example is read by the code that it is an example for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.bakefile import BakeRequest, resolve
from hpcbake.build.document import find_shipments
from hpcbake.model.artefacts import BuiltImage, Deployment
from hpcbake.model.reference import Digest, parse_image_reference
from hpcbake.model.site import Login, Site, Store
from hpcbake.report.notice import end_document
from hpcbake.report.schema import report_schema
from hpcbake.ship.configuration import parse_project_layer
from hpcbake.ship.project import parse_project
from hpcbake.sites import parse_site
from hpcbake.smoke.job import render_job
from tests.reports import full_report

ROOT = Path(__file__).resolve().parents[3]
HOW_TO = ROOT / "docs/how-to"


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_report_example_fits_the_schema() -> None:
    """The document on the report's page is a valid report."""
    (example,) = blocks(ROOT / "docs/reference/report.md", "json")
    jsonschema.validate(json.loads(example), report_schema())


def test_the_site_config_of_the_how_to_is_one() -> None:
    """The pieces of `write-a-site-config.md`, put together, are a site config without a mistake."""
    content = "".join(blocks(HOW_TO / "write-a-site-config.md", "yaml"))
    site = parse_site(content, "cluster.yaml", environment={})
    assert (site.login.host, str(site.profile.glibc)) == ("login.cluster.example.org", "2.28")


@pytest.mark.parametrize("page", ["smoke-tests.md", "ship-your-first-image.md"])
def test_project_files_of_the_how_tos_are_read(page: str) -> None:
    """Every `hpcbake.yaml` that a page shows is read without a mistake."""
    found = blocks(HOW_TO / page, "yaml")
    assert found
    for content in found:
        assert parse_project(content, "hpcbake.yaml").smoke


@pytest.mark.parametrize("page", ["how-to/configure.md", "how-to/notifications.md", "reference/project-file.md"])
def test_project_files_that_say_other_things_are_read(page: str) -> None:
    """Without a mistake, and none of them says nothing."""
    found = blocks(ROOT / "docs" / page, "yaml")
    assert found
    for content in found:
        assert parse_project_layer(content, "hpcbake.yaml").values


def test_the_notice_of_the_how_to_has_the_fields_of_a_notice() -> None:
    """Field by field, as `hpcbake ship` sends it."""
    (example,) = blocks(HOW_TO / "notifications.md", "json")
    shown, sent = json.loads(example), end_document(full_report(), "failed")
    assert shown.keys() == sent.keys()
    for name in ("run", "exit"):
        assert shown[name].keys() == sent[name].keys()
    for name in ("changed", "failures"):
        assert shown[name][0].keys() == sent[name][0].keys()


def test_the_template_of_the_how_to_renders(tmp_path: Path) -> None:
    """The job template that `smoke-tests.md` shows renders for the test that it shows with it."""
    page = HOW_TO / "smoke-tests.md"
    template = next(text for text in blocks(page, "sh") if "_head.j2" in text)
    (tmp_path / "ranks.sbatch.j2").write_text(template, encoding="utf-8")
    project = parse_project(next(text for text in blocks(page, "yaml") if "template: ranks" in text), "hpcbake.yaml")
    digest = Digest("sha256:" + "0" * 64)
    image = BuiltImage("app", "1.0", parse_image_reference("registry.example.org/app").with_digest(digest), digest, 1)
    job = render_job(
        project.smoke[0][0],
        Deployment("cluster", image, "/store/app.sif", "0" * 64, 1, changed=True),
        Site("cluster", Login("cluster"), Store("/store")),
        comment="example",
        commands=SpythonCommands(),
        template_folders=(tmp_path,),
    )
    assert "srun apptainer exec /store/app.sif hpc-app 255" in job.script
    assert "#SBATCH --ntasks=2" in job.script


def test_the_tutorial_s_bake_file_resolves(tmp_path: Path) -> None:
    """The bake file of the tutorial gives one image with its tag, from the lab's variables or without them."""
    (content,) = blocks(HOW_TO / "ship-your-first-image.md", "hcl")
    (dockerfile,) = blocks(HOW_TO / "ship-your-first-image.md", "dockerfile")
    (tmp_path / "docker-bake.hcl").write_text(content, encoding="utf-8")
    (tmp_path / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    plan = resolve(BakeRequest(), folder=tmp_path, environment={"REGISTRY": "localhost:5083"}, stdin=lambda: "")
    assert [str(tag) for shipment in find_shipments(plan) for tag in shipment.tags] == [
        "localhost:5083/tutorial/pi:1.0"
    ]


def test_tests_that_the_pages_name_exist() -> None:
    """A test named on a page is one that pytest would find."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/architecture.md").read_text(encoding="utf-8")))
    assert named
    assert [name for name in sorted(named) if f"def {name}(" not in source] == []
