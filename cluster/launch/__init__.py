"""Launch files for Slurm, Kubernetes, clouds and plain hosts: templates, what fills them in, and what submits them."""

from cluster.launch.fill import fill, template_names, word
from cluster.launch.submit import NoClientError, SubmitError, submit

__all__ = ["NoClientError", "SubmitError", "fill", "submit", "template_names", "word"]
