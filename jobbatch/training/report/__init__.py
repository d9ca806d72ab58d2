"""The report on a model's answers to labelled rows: numbers first, then a page drawn from them."""

from __future__ import annotations

from jobbatch.training.report.contents import Report, Subject, build
from jobbatch.training.report.page import PAGE, check_target, render, write
from jobbatch.training.report.slices import words

__all__ = ["PAGE", "Report", "Subject", "build", "check_target", "render", "words", "write"]
