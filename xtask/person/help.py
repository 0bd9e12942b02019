"""What the published client's own help lists, but for the commands that are named to be passed over: a line of
JSON for each command, with the names of its options.

The help texts themselves are read, all in one process: a new one for each would take a minute.
"""

import json
import re
import sys

from prime_cli.main import app
from typer.testing import CliRunner

RUNNER = CliRunner()
# The name of a command, or all those of an option, at the head of a line.
NAMES = re.compile(r"  ([^\s,]+(?:(?:, | / )-[^\s,]+)*)")


def sections(path):
    """The names that the help of a command lists, by section."""
    text = RUNNER.invoke(app, ["--plain", *path, "--help"]).output
    found, section = {}, None
    for line in text.splitlines():
        if line and not line.startswith(" ") and line.endswith(":"):
            section = found.setdefault(line[:-1], [])
        elif not line.strip():
            section = None
        elif section is not None and (names := NAMES.match(line)):
            section.append(re.split(r", | / ", names[1]))
    return found


def tell(path, passed_over):
    listed = sections(path)
    if not listed.get("Options"):
        raise SystemExit(f"no options in the help of {path}")
    commands = [name for (name,) in listed.get("Commands", [])]
    print(json.dumps({"command": " ".join(path), "options": listed["Options"], "is_leaf": not commands}))
    for name in commands:
        if name not in passed_over:
            tell([*path, name], [])


tell([], sys.argv[1:])
