# A builder as stdenv's: inputs with their setup hooks, what is to be done, what hooks do after it.
set -euo pipefail
export PATH=/usr/bin:/bin
targetOffset=0
declare -a envHooks=() postFixupHooks=()
addEnvHooks() { envHooks+=("${@:2}"); }
getAllOutputNames() { echo "${outputs:-out}"; }

take() {
  local input
  if [ -d "$1/bin" ]; then PATH=$1/bin:$PATH; fi
  if [ -f "$1/nix-support/propagated-build-inputs" ]; then
    for input in $(<"$1/nix-support/propagated-build-inputs"); do take "$input"; done
  fi
  if [ -f "$1/nix-support/setup-hook" ]; then source "$1/nix-support/setup-hook"; fi
}
for input in ${nativeBuildInputs-} ${buildInputs-}; do take "$input"; done
for input in ${buildInputs-}; do
  for hook in "${envHooks[@]}"; do "$hook" "$input"; done
done

eval "${buildCommand-${installPhase-}}"
for hook in "${postFixupHooks[@]}"; do "$hook"; done
