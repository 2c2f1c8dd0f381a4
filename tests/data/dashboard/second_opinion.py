"""What coverage.py finds when the same requests are made with only coverage.py running.

Imports nothing of what it judges. Reads {profile: [path, …]} on stdin, prints {profile: {functions, lines}}. Functions are
those that an entry arc of branch mode leads into; their names are worked out here, from the syntax tree.
"""

import ast
import json
import os
import sys

import coverage
import rq_dashboard
from served_dashboard import app

PACKAGE = os.path.dirname(rq_dashboard.__file__)
ROOT = os.path.dirname(PACKAGE)


def play(paths):
    measurement = coverage.Coverage(data_file=None, config_file=False, source=[PACKAGE], branch=True)
    client = app.test_client()
    measurement.start()
    for path in paths:
        client.get(path, buffered=True).close()
    measurement.stop()
    return measurement.get_data()


def definitions(tree, prefix=""):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield first, prefix + node.name, node
            yield from definitions(node, f"{prefix}{node.name}.<locals>.")
        elif isinstance(node, ast.ClassDef):
            yield from definitions(node, f"{prefix}{node.name}.")
        else:
            yield from definitions(node, prefix)


def read(data):
    functions, lines = [], {}
    for filename in data.measured_files():
        if not filename.endswith(".py"):
            continue  # a Jinja template, whose lines are no Python
        arcs = data.arcs(filename) or []
        path = os.path.relpath(filename, ROOT)
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        with open(filename) as file:
            tree = ast.parse(file.read())
        for first, qualname, node in definitions(tree):
            body = range(node.body[0].lineno, node.end_lineno + 1)
            if any(begin == -first and end in body for begin, end in arcs):
                functions.append(f"{module}:{qualname}@{first}")
        numbers = sorted({number for arc in arcs for number in arc if number > 0})
        if numbers:
            lines[path] = numbers
    return {"functions": sorted(functions), "lines": lines}


found = {profile: read(play(paths)) for profile, paths in json.load(sys.stdin).items()}
judged = [name for name in sys.modules if name.startswith("otel_coverage")]
assert not judged, judged
json.dump(found, sys.stdout)
