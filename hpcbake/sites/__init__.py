"""Site configs: YAML in, Site values out, every mistake with its line and column."""

from hpcbake.sites.read import find_sites, parse_site, read_site
from hpcbake.sites.schema import render_site_schema

__all__ = ["find_sites", "parse_site", "read_site", "render_site_schema"]
