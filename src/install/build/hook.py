"""Drives a PEP 517 back end through pyproject_hooks, which is beside this file.

Its argument: a file with the request, as JSON. The answer goes to the file that it names.
"""

import json
import subprocess
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    request = json.load(file)
sys.path.insert(0, request["hooks"])

from pyproject_hooks import BackendUnavailable  # noqa: E402
from pyproject_hooks import BuildBackendHookCaller  # noqa: E402
from pyproject_hooks import HookMissing  # noqa: E402


def answer(**what):
    with open(request["answer"], "w", encoding="utf-8") as file:
        json.dump(what, file)


def run():
    caller = BuildBackendHookCaller(
        request["source"], request["backend"], request["backend_path"] or None
    )
    settings = request["config_settings"] or None
    kind = request["kind"]
    requires = []
    for asked in request["asked"]:
        more = getattr(caller, "get_requires_for_build_" + asked)(settings)
        requires.extend(need for need in more if need not in requires)
    answer(requires=requires, wheel=None)
    if not request["only_ask"]:
        wheel = getattr(caller, "build_" + kind)(request["out"], settings)
        answer(requires=requires, wheel=wheel)


try:
    run()
except BackendUnavailable as error:
    sys.exit(
        "%sthe back end %s cannot be imported" % (error.traceback, request["backend"])
    )
except HookMissing as error:
    sys.exit("the back end %s has no hook %s" % (request["backend"], error))
except subprocess.CalledProcessError as error:
    # The back end has said why.
    sys.exit(error.returncode if error.returncode > 0 else 1)
