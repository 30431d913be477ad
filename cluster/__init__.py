"""Trials on machines: jobs and who runs them, and the ledger in which the states of trials outlive both.

This package shows the contract of a job. The rest is imported by name, and loads Ray or Optuna only where it needs
them: ``cluster.runners`` (who runs jobs), ``cluster.ledger`` (Optuna), ``cluster.tune`` (Ray Tune), ``cluster.local``
(this process).
"""

from cluster.jobs import ClusterError, ClusterLostError, Job, JobSource, Output, Report, Stopped, WorkFunction

__all__ = ["ClusterError", "ClusterLostError", "Job", "JobSource", "Output", "Report", "Stopped", "WorkFunction"]
