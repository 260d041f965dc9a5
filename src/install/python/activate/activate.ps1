# Makes this environment the current one of PowerShell: . bin/activate.ps1

function global:deactivate([switch] $NonDestructive) {
    if (Test-Path variable:_LW_OLD_PATH) {
        $env:PATH = $global:_LW_OLD_PATH
        Remove-Variable "_LW_OLD_PATH" -Scope global
    }
    if (Test-Path function:_lw_old_prompt) {
        $function:prompt = $function:_lw_old_prompt
        Remove-Item function:\_lw_old_prompt
    }
    Remove-Item env:VIRTUAL_ENV -ErrorAction SilentlyContinue
    Remove-Item env:VIRTUAL_ENV_PROMPT -ErrorAction SilentlyContinue
    if (!$NonDestructive) {
        Remove-Item function:deactivate -ErrorAction SilentlyContinue
    }
}

deactivate -NonDestructive

$env:VIRTUAL_ENV = @PS_PREFIX@
$env:VIRTUAL_ENV_PROMPT = @PS_PROMPT@
if (!$env:VIRTUAL_ENV_PROMPT) {
    $env:VIRTUAL_ENV_PROMPT = Split-Path $env:VIRTUAL_ENV -Leaf
}

$global:_LW_OLD_PATH = $env:PATH
$env:PATH = (Join-Path $env:VIRTUAL_ENV "@SCRIPTS@") + [IO.Path]::PathSeparator + $env:PATH

if (!$env:VIRTUAL_ENV_DISABLE_PROMPT) {
    function global:_lw_old_prompt { "" }
    $function:_lw_old_prompt = $function:prompt
    function global:prompt {
        "($env:VIRTUAL_ENV_PROMPT) " + (_lw_old_prompt)
    }
}
