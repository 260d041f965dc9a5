# lockwright and what goes with it, for nixpkgs:
#
#   lockwright                     the program
#   lockwrightLib                  nix/default.nix, with nixpkgs' stdenv and fetchurl
#   lockwrightElfPatchHook, lockwrightRefsStripHook   setup hooks for existing derivations

final: prev: {
  lockwright = final.callPackage ./package.nix { };

  lockwrightLib = import ./default.nix {
    inherit (final) lockwright stdenv fetchurl;
    inherit (final.stdenv.hostPlatform) system;
    path = [ final.gitMinimal ];
  };

  lockwrightElfPatchHook = final.makeSetupHook {
    name = "lockwright-elf-patch-hook";
    propagatedBuildInputs = [ final.lockwright ];
  } ./hooks/elf-patch.sh;

  lockwrightRefsStripHook = final.makeSetupHook {
    name = "lockwright-refs-strip-hook";
    propagatedBuildInputs = [ final.lockwright ];
  } ./hooks/refs-strip.sh;
}
