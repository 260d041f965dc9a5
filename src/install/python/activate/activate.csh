# Makes this environment the current one of csh and tcsh: source bin/activate.csh

alias deactivate 'test $?_LW_OLD_PATH != 0 && setenv PATH "$_LW_OLD_PATH" && unset _LW_OLD_PATH; rehash; test $?_LW_OLD_PROMPT != 0 && set prompt="$_LW_OLD_PROMPT" && unset _LW_OLD_PROMPT; unsetenv VIRTUAL_ENV; unsetenv VIRTUAL_ENV_PROMPT; test "\!:*" != "nondestructive" && unalias deactivate'
deactivate nondestructive

setenv VIRTUAL_ENV @CSH_PREFIX@
set _LW_OLD_PATH="$PATH:q"
setenv PATH "$VIRTUAL_ENV:q/bin:$PATH:q"

if (@CSH_PROMPT@ != "") then
    setenv VIRTUAL_ENV_PROMPT @CSH_PROMPT@
else
    setenv VIRTUAL_ENV_PROMPT "$VIRTUAL_ENV:t:q"
endif

if ( ! $?VIRTUAL_ENV_DISABLE_PROMPT ) then
    if ( $?prompt ) then
        set _LW_OLD_PROMPT="$prompt:q"
        set prompt = "($VIRTUAL_ENV_PROMPT:q) $prompt:q"
    endif
endif

rehash
