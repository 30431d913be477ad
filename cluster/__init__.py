"""How trials reach machines, and how their states outlive them.

Importing this package imports neither Ray nor Optuna; the parts that need them are imported by name:
``cluster.ray_run.run_jobs``, ``cluster.here.run_here``, ``cluster.ledger.Ledger``, ``cluster.storage.open_storage``.
"""

from cluster.jobs import ClusterError, Job, JobSource, Output, Report, Stopped, WorkFunction

__all__ = ["ClusterError", "Job", "JobSource", "Output", "Report", "Stopped", "WorkFunction"]
