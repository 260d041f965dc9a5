#!/usr/bin/env python3
"""What Django itself makes of the migrations of projects.

    PYTHONPATH=<folder with Django> tests/oracle/django_graph.py PROJECT…

A project is a folder of apps, those folders of it that hold one called `migrations`; where it has a file `with-auth`,
Django's own `auth` is one too. Prints a JSON list, for each project
what its loader says: `{"error": "CircularDependencyError: …"}`, or every migration with its parents in the graph and all
that its class holds, the leaves, and the order in which each comes to be applied.
"""

import json
import os
import re
import sys
from pathlib import Path


def main():
    # Once, before the forks.
    import django.db.backends.sqlite3.base
    import django.db.migrations.loader  # noqa: F401

    print("[" + ",\n".join(in_a_fork(Path(project)) for project in sys.argv[1:]) + "]")


def in_a_fork(project):
    """Apps and modules cannot be forgotten: each project has a process of its own."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        with open(write, "w") as out:
            try:
                answer = graph(project)
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            json.dump(answer, out, sort_keys=True)
        os._exit(0)
    os.close(write)
    with open(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def graph(project):
    import django
    from django.conf import settings
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.recorder import MigrationRecorder

    sys.dont_write_bytecode = True
    sys.path.insert(0, str(project))
    apps = sorted(path.parent.name for path in project.glob("*/migrations"))
    if (project / "with-auth").exists():
        apps += ["django.contrib.contenttypes", "django.contrib.auth"]
    settings.configure(
        INSTALLED_APPS=apps,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        USE_TZ=True,
    )
    django.setup()
    loader = MigrationLoader(None)
    answer = {
        "migrations": {named(key): told(loader, key) for key in loader.disk_migrations},
        "leaves": sorted(map(named, loader.graph.leaf_nodes())),
        "order": {named(key): list(map(named, loader.graph.forwards_plan(key))) for key in loader.graph.nodes},
    }
    # A database in which squashed migrations are half done has another graph: it must hold together too.
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    for migration in loader.replacements.values():
        recorder.record_applied(*migration.replaces[0])
    MigrationLoader(connection)
    return answer


def told(loader, key):
    migration = loader.disk_migrations[key]
    node = loader.graph.node_map.get(key)
    holds = {name: value for name, value in vars(type(migration)).items() if not name.startswith("__")}
    return {
        "parents": sorted(named(parent.key) for parent in node.parents) if node else None,
        "dependencies": [list(pair) for pair in migration.dependencies],
        "holds": {
            name: re.sub(" at 0x[0-9a-f]+", "", f"{type(value).__name__} {value!r}") if name != "dependencies" else type(value).__name__
            for name, value in holds.items()
        },
        "doc": type(migration).__doc__,
        "bases": [base.__name__ for base in type(migration).__mro__],
    }


def named(key):
    return ".".join(key)


main()
