"""Makes this environment the current one of a running Python, where none can be started anew:

    exec(open("bin/activate_this.py").read(), {"__file__": "bin/activate_this.py"})
"""

import os
import site
import sys

try:
    here = os.path.dirname(os.path.abspath(__file__))
except NameError as error:
    raise AssertionError('run it as exec(code, {"__file__": "bin/activate_this.py"})') from error

base = os.path.dirname(here)
os.environ["PATH"] = os.pathsep.join([here, *os.environ.get("PATH", "").split(os.pathsep)])
os.environ["VIRTUAL_ENV"] = base
os.environ["VIRTUAL_ENV_PROMPT"] = @PY_PROMPT@ or os.path.basename(base)

known = len(sys.path)
site.addsitedir(os.path.join(base, *@PY_SITE@.split("/")))
# What this environment brings comes before what was there.
sys.path[:] = sys.path[known:] + sys.path[:known]

sys.real_prefix = sys.prefix
sys.prefix = sys.exec_prefix = base
