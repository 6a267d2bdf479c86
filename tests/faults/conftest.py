"""The lab of the integration tests serves here too."""

from tests.integration.conftest import lab

__all__ = ["lab"]
