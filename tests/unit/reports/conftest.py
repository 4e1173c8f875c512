"""What the tests of reports share."""

from __future__ import annotations

from tests.unit.reports.valid_reports import every_report_is_valid

__all__ = ["every_report_is_valid"]
