"""All lint rules, by code."""

from __future__ import annotations

from typing import Final

from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.rules import (
    base_floating,
    base_latest,
    base_missing,
    base_unmaintained,
    build_platform_stage,
    cache_entry,
    copy_without_from,
    dnf_module_python,
    dockerfile_missing,
    dockerfile_syntax,
    dockerignore_missing,
    duplicate_tag,
    hidden_path,
    ignore_comment,
    newer_glibc,
    override_not_read,
    platform_not_amd64,
    python_mismatch,
    secret_in_image,
    setuid_lost,
    stage_missing,
    unexpanded_variable,
    unreadable_mode,
    unused_argument,
    wrong_repository,
)

RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (
            base_missing.RULE,
            base_unmaintained.RULE,
            base_latest.RULE,
            base_floating.RULE,
            platform_not_amd64.RULE,
            copy_without_from.RULE,
            dnf_module_python.RULE,
            newer_glibc.RULE,
            secret_in_image.RULE,
            dockerignore_missing.RULE,
            unreadable_mode.RULE,
            setuid_lost.RULE,
            hidden_path.RULE,
            dockerfile_missing.RULE,
            dockerfile_syntax.RULE,
            stage_missing.RULE,
            unused_argument.RULE,
            duplicate_tag.RULE,
            ignore_comment.RULE,
            build_platform_stage.RULE,
            wrong_repository.RULE,
            python_mismatch.RULE,
            cache_entry.RULE,
            override_not_read.RULE,
            unexpanded_variable.RULE,
        ),
        key=lambda rule: rule.code,
    )
)
