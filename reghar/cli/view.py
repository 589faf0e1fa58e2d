"""`reghar view`: look at every answer of stored runs in a browser. No engine is needed."""

from __future__ import annotations

import argparse
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING

from reghar.cli.options import add_runs, named_run

if TYPE_CHECKING:
    from reghar.report.page.build import PageRun


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `view`."""
    parser = subparsers.add_parser(
        "view",
        help="look at every answer of stored runs in a browser",
        description="Serves the page of one run, or of several with equal protocols side by side, on this "
        "machine's loopback address only, until Ctrl-C. `reghar report RUN --html` writes it as a file.",
    )
    add_runs(parser)
    parser.add_argument(
        "--frontier",
        metavar="NAME",
        help="auto, none, a name or a file; default: what the run was started with",
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--open", action="store_true", help="also open it in the browser")
    parser.set_defaults(handler=view)


def view(arguments: argparse.Namespace) -> int:
    """Serves until interrupted, returns 0. Raises InputError for no run, or runs not comparable."""
    from reghar.errors import InputError
    from reghar.report.page.view import PageServer

    if not 0 <= arguments.port <= 65535:
        raise InputError(f"--port must be 0 to 65535, not {arguments.port}")
    server = PageServer(_runs(arguments), port=arguments.port)
    try:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        sys.stdout.write(f"{server.address}\n")
        sys.stdout.flush()
        if arguments.open:
            webbrowser.open(server.address)
        serving.join()
    except KeyboardInterrupt:
        sys.stdout.write("\n")
    finally:
        server.shutdown()
        server.server_close()
    return 0


def _runs(arguments: argparse.Namespace) -> list[PageRun]:
    from reghar.report.build import build_report
    from reghar.report.page.build import PageRun
    from reghar.report.ranking import rank
    from reghar.store import load_run

    built = []
    for name, path in map(named_run, arguments.runs):
        run = load_run(path)
        report = build_report(run, frontier=arguments.frontier or run.manifest.frontier)
        built.append(PageRun(run=run, report=report.called(name)))
    rank([one.report for one in built])  # refuses runs that must not stand side by side
    return built
