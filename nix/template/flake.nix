{
  # lockwright export nix --out nix/lockwright   # again whenever the lock changes

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  inputs.lockwright.url = "URL of lockwright's repository";
  inputs.lockwright.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nixpkgs, lockwright, ... }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
      workspace = lockwright.lib.${system}.loadWorkspace ./nix/lockwright {
        python = pkgs.python314;
        # What wheels are compiled with.
        attributes = step: { buildInputs = [ pkgs.openssl ]; };
      };
    in
    {
      packages.${system}.default = workspace.environment;
    };
}
