"""The verb `ottla dashboards`: Grafana dashboards for the metrics we serve."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ottla.gateway.grafana import DASHBOARDS, dashboard_json

DESCRIPTION = "Write Grafana dashboards (cluster, topics, groups) as JSON files to import."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    export = actions.add_parser("export", help="write one JSON file for each dashboard")
    export.add_argument(
        "directory", nargs="?", default=".", metavar="DIR", help="where to (default: here)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the files and print their names; 1 with one sentence when they cannot be written."""
    folder = Path(args.directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for dashboard in DASHBOARDS:
            path = folder / f"ottla-{dashboard.name}.json"
            path.write_text(json.dumps(dashboard_json(dashboard), indent=2) + "\n", "utf-8")
            print(path)
    except OSError as error:
        print(f"ottla dashboards: {folder}: {error.strerror}", file=sys.stderr)
        return 1
    return 0
