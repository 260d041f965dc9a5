@rem Undoes what activate.bat did.

@if defined _LW_OLD_PATH set "PATH=%_LW_OLD_PATH%"
@if defined _LW_OLD_PROMPT set "PROMPT=%_LW_OLD_PROMPT%"
@if defined _LW_OLD_PYTHONHOME set "PYTHONHOME=%_LW_OLD_PYTHONHOME%"
@set "_LW_OLD_PATH="
@set "_LW_OLD_PROMPT="
@set "_LW_OLD_PYTHONHOME="
@set "VIRTUAL_ENV="
@set "VIRTUAL_ENV_PROMPT="
