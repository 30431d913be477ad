"""Ray: jobs on worker processes of this machine or of a cluster, in one Ray Tune run (``cluster.tune.run``)."""
