@rem Makes this environment the current one of cmd.exe: .venv\Scripts\activate.bat

@rem Another environment, or this one, may be current already.
@if defined _LW_OLD_PATH set "PATH=%_LW_OLD_PATH%"
@if defined _LW_OLD_PROMPT set "PROMPT=%_LW_OLD_PROMPT%"
@if defined _LW_OLD_PYTHONHOME set "PYTHONHOME=%_LW_OLD_PYTHONHOME%"
@set "_LW_OLD_PROMPT="
@set "_LW_OLD_PYTHONHOME="

@for %%i in ("%~dp0..") do @set "VIRTUAL_ENV=%%~fi"
@set "VIRTUAL_ENV_PROMPT=@BAT_PROMPT@"
@if not defined VIRTUAL_ENV_PROMPT for %%i in ("%VIRTUAL_ENV%") do @set "VIRTUAL_ENV_PROMPT=%%~nxi"

@set "_LW_OLD_PATH=%PATH%"
@set "PATH=%VIRTUAL_ENV%\Scripts;%PATH%"

@if defined PYTHONHOME set "_LW_OLD_PYTHONHOME=%PYTHONHOME%"
@set "PYTHONHOME="

@if not defined PROMPT set "PROMPT=$P$G"
@if not defined VIRTUAL_ENV_DISABLE_PROMPT set "_LW_OLD_PROMPT=%PROMPT%"
@if not defined VIRTUAL_ENV_DISABLE_PROMPT set "PROMPT=(%VIRTUAL_ENV_PROMPT%) %PROMPT%"
