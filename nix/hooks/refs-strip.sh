# lockwrightRefsStripHook: the outputs forget store paths that they should not hold, as nuke-refs and
# remove-references-to see to it, and say which package held which.
#
#   dontLockwrightRefsStrip         do nothing
#   lockwrightRefsOnly              store paths that are forgotten; all others stay
#   lockwrightRefsKeep              where that is not set: store paths that stay; all others are forgotten

lockwrightRefsStrip() {
  if [ -n "${dontLockwrightRefsStrip-}" ]; then return 0; fi
  local -a flags=(--store-dir "$NIX_STORE")
  local output value
  for value in ${lockwrightRefsOnly-}; do flags+=(--only "$value"); done
  for value in ${lockwrightRefsKeep-}; do flags+=(--keep "$value"); done
  for output in $(getAllOutputNames); do
    if [ -e "${!output}" ]; then lockwright refs strip "${!output}" "${flags[@]}"; fi
  done
}
postFixupHooks+=(lockwrightRefsStrip)
