# lockwrightElfPatchHook: every ELF file of every output finds its libraries, as autoPatchelfHook sees to it.
#
# Libraries are looked for in the outputs themselves ($ORIGIN) and in `lib` of buildInputs. Variables:
#
#   dontLockwrightElfPatch          do nothing
#   lockwrightElfSearch             further folders with libraries
#   lockwrightElfIgnoreMissing      globs of libraries that may be missing
#   lockwrightElfAddRpath           [GLOB=]DIR, for libraries that are opened by name

declare -a lockwrightElfLibraries=()

lockwrightGatherLibraries() {
  if [ -d "$1/lib" ]; then lockwrightElfLibraries+=("$1/lib"); fi
}
addEnvHooks "$targetOffset" lockwrightGatherLibraries

lockwrightElfPatch() {
  if [ -n "${dontLockwrightElfPatch-}" ]; then return 0; fi
  local -a flags=() trees=()
  local output value
  for value in "${lockwrightElfLibraries[@]}" ${lockwrightElfSearch-}; do flags+=(--search "$value"); done
  for value in ${lockwrightElfIgnoreMissing-}; do flags+=(--ignore-missing "$value"); done
  for value in ${lockwrightElfAddRpath-}; do flags+=(--add-rpath "$value"); done
  for output in $(getAllOutputNames); do
    if [ -e "${!output}" ]; then trees+=("${!output}"); fi
  done
  if [ ${#trees[@]} -eq 0 ]; then return 0; fi
  echo "lockwright elf patch: ${trees[*]}"
  lockwright elf patch "${trees[@]}" "${flags[@]}"
}
postFixupHooks+=(lockwrightElfPatch)
