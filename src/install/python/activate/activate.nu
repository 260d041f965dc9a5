# Makes this environment the current one of nushell: overlay use bin/activate.nu
# It is left again with: overlay hide activate

export-env {
    let virtual_env = @NU_PREFIX@
    let given = @NU_PROMPT@
    let prompt = if ($given | is-empty) { $virtual_env | path basename } else { $given }
    let path_name = if "Path" in $env { "Path" } else { "PATH" }
    let new_path = ($env | get $path_name | prepend ($virtual_env | path join "bin"))
    load-env {
        $path_name: $new_path
        VIRTUAL_ENV: $virtual_env
        VIRTUAL_ENV_PROMPT: $prompt
    }
    hide-env --ignore-errors PYTHONHOME
}

export alias deactivate = overlay hide activate
