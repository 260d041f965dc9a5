# Makes this environment the current one of fish: source bin/activate.fish

function deactivate -d "Leave the virtual environment"
    if set -q _LW_OLD_PATH
        set -gx PATH $_LW_OLD_PATH
        set -e _LW_OLD_PATH
    end
    if set -q _LW_OLD_PYTHONHOME
        set -gx PYTHONHOME $_LW_OLD_PYTHONHOME
        set -e _LW_OLD_PYTHONHOME
    end
    if functions -q _lw_old_fish_prompt
        functions -e fish_prompt
        functions -c _lw_old_fish_prompt fish_prompt
        functions -e _lw_old_fish_prompt
    end
    set -e VIRTUAL_ENV
    set -e VIRTUAL_ENV_PROMPT
    if test "$argv[1]" != nondestructive
        functions -e deactivate
    end
end

deactivate nondestructive

set -gx VIRTUAL_ENV @FISH_PREFIX@
set -gx VIRTUAL_ENV_PROMPT @FISH_PROMPT@
if test -z "$VIRTUAL_ENV_PROMPT"
    set -gx VIRTUAL_ENV_PROMPT (string split -r -m1 / -- $VIRTUAL_ENV)[-1]
end

set -gx _LW_OLD_PATH $PATH
set -gx PATH "$VIRTUAL_ENV/bin" $PATH

if set -q PYTHONHOME
    set -gx _LW_OLD_PYTHONHOME $PYTHONHOME
    set -e PYTHONHOME
end

if test -z "$VIRTUAL_ENV_DISABLE_PROMPT"; and functions -q fish_prompt
    functions -c fish_prompt _lw_old_fish_prompt
    function fish_prompt
        set -l last_status $status
        printf "(%s) " $VIRTUAL_ENV_PROMPT
        echo "exit $last_status" | .
        _lw_old_fish_prompt
    end
end
