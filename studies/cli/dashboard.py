"""``dst dashboard``: studies in a browser while they run."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from dst.errors import InputError
from studies.surroundings import say


def dashboard(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of studies.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine; 0: any that is free.")] = 8700,
    seconds: Annotated[float, typer.Option(min=1.0, help="Between two looks at a study, at least.")] = 15.0,
) -> None:
    """Show the reports of studies in a browser, and renew them while the studies run. Ctrl+C ends it."""
    from studies.dashboard.server import DashboardServer
    from studies.dashboard.view import View
    from studies.store.folder import StudyFolder

    studies: dict[str, Path] = {}
    for path in folders:
        name = path.resolve().name
        if name in studies:
            raise InputError(f"each study once, but {studies[name]} and {path} have the same name")
        if not StudyFolder(path).spec.is_file():
            raise InputError(f"DIR must be a study's folder, but {path} has no study.yaml")
        studies[name] = path
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="dst-dashboard-")))
        views = {
            name: View(StudyFolder(path.resolve()), home / str(number), seconds)
            for number, (name, path) in enumerate(studies.items())
        }
        server = DashboardServer(views, port, with_optuna=find_spec("optuna_dashboard") is not None)
        stack.enter_context(server)
        for view in views.values():
            stack.callback(view.close)
            view.start()
        typer.echo(server.url if len(views) > 1 else f"{server.url}{next(iter(views))}/")
        if not server.with_optuna:
            say("Optuna's own dashboard is not shown: pip install 'dst-studies[dashboard]'")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
