"""Job files: what runs when, running it under a lock, and what the system's scheduler is told."""

from jobbatch.jobs.history import JobRun
from jobbatch.jobs.job_file import Job, find, load
from jobbatch.jobs.runner import Watch, run
from jobbatch.jobs.schedule import crontab, systemd, write_units

__all__ = ["Job", "JobRun", "Watch", "crontab", "find", "load", "run", "systemd", "write_units"]
