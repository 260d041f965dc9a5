# Makes this environment the current one of xonsh: source bin/activate.xsh
from pathlib import Path

$VIRTUAL_ENV = @XSH_PREFIX@
$VIRTUAL_ENV_PROMPT = @XSH_PROMPT@ or Path($VIRTUAL_ENV).name
$PATH.insert(0, str(Path($VIRTUAL_ENV) / "bin"))


def _deactivate(args):
    """Leaves the environment."""
    own = str(Path($VIRTUAL_ENV) / "bin")
    if own in $PATH:
        $PATH.remove(own)
    del $VIRTUAL_ENV
    del $VIRTUAL_ENV_PROMPT
    del aliases["deactivate"]


aliases["deactivate"] = _deactivate
del Path
