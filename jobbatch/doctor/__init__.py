"""Finds what would go wrong tonight: on this machine, in the models, in the jobs.

Nothing is published or changed; whether a folder can be written is tried with a file of one byte that
is removed again, whether a lock can be had by taking it for a moment.
"""

from jobbatch.doctor.checks import Check
from jobbatch.doctor.examination import examine, exit_code

__all__ = ["Check", "examine", "exit_code"]
