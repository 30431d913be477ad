"""How trials reach machines, and how their states outlive them.

Importing this package imports neither Ray nor Optuna; the parts that need them are imported by name:
``cluster.tune.run.run_jobs``, ``cluster.local.run_here``, ``cluster.ledger.ledger.Ledger``,
``cluster.ledger.storage.connect.open_storage``.
"""

from cluster.jobs import ClusterError, Job, JobSource, Output, Report, Stopped, WorkFunction

__all__ = ["ClusterError", "Job", "JobSource", "Output", "Report", "Stopped", "WorkFunction"]
