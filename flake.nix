{
  description = "Environments straight from lockfiles, as Nix derivations";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      each = make: nixpkgs.lib.genAttrs systems (system: make (nixpkgs.legacyPackages.${system}.extend self.overlays.default));
    in
    {
      overlays.default = import ./nix/overlay.nix;

      packages = each (pkgs: {
        inherit (pkgs) lockwright lockwrightElfPatchHook lockwrightRefsStripHook;
        default = pkgs.lockwright;
      });

      # nodeModules, loadWorkspace, vendor, component, fixedOutput, for each system.
      lib = each (pkgs: pkgs.lockwrightLib);

      templates.default = {
        path = ./nix/template;
        description = "A project with a uv.lock or a package-lock.json, and its export";
      };
    };
}
