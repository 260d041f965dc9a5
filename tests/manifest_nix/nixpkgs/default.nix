# What lockwright's flake, overlay and hooks ask of nixpkgs, as its manual describes it, on the programs of this machine.
# The test puts a program.nix beside this file, which says where lockwright is.
{ system }:

let
  lib = {
    genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
    importTOML = file: builtins.fromTOML (builtins.readFile file);
    licenses = {
      mit.spdxId = "MIT";
      asl20.spdxId = "Apache-2.0";
    };
    platforms.linux = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    fileset = {
      unions = files: map (file: assert builtins.pathExists file; file) files;
      toSource =
        { root, fileset }:
        let
          top = builtins.stringLength (toString root);
          tops = map (file: toString file) fileset;
          isBelow = place: one: place == one || builtins.substring 0 (builtins.stringLength one + 1) place == "${one}/";
        in
        assert top > 0;
        builtins.path {
          path = root;
          name = "source";
          filter = place: _: builtins.any (isBelow place) tops;
        };
    };
  };

  # overrideAttrs, passthru and meta as stdenv has them.
  mkDerivation =
    attributes:
    derivation (
      removeAttrs attributes [
        "meta"
        "passthru"
      ]
      // {
        name = attributes.name or "${attributes.pname}-${attributes.version}";
        inherit system;
        builder = "/bin/bash";
        args = [ ./builder.sh ];
      }
    )
    // (attributes.passthru or { })
    // {
      meta = attributes.meta or { };
      overrideAttrs = change: mkDerivation (attributes // change attributes);
    };

  makeSetupHook =
    {
      name,
      propagatedBuildInputs ? [ ],
    }:
    script:
    mkDerivation {
      inherit name propagatedBuildInputs script;
      installPhase = ''
        mkdir -p $out/nix-support
        cp $script $out/nix-support/setup-hook
        echo $propagatedBuildInputs > $out/nix-support/propagated-build-inputs
      '';
    };

  # Compiled it is already: what is ours is the rest.
  buildRustPackage =
    attributes:
    assert builtins.pathExists attributes.cargoLock.lockFile;
    mkDerivation (
      removeAttrs attributes [ "cargoLock" ]
      // {
        installPhase = ''
          cp -r --no-preserve=mode $src source && cd source
          test -f src/main.rs && test -f nix/graph.nix && ! test -e tests
          mkdir -p $out/bin
          ln -s ${import ./program.nix} $out/bin/lockwright
          ${attributes.postInstall}
        '';
      }
    );

  own = final: {
    inherit lib makeSetupHook;
    callPackage =
      file: more:
      let
        make = import file;
      in
      make (builtins.intersectAttrs (builtins.functionArgs make) final // more);
    stdenv = {
      inherit mkDerivation;
      hostPlatform = { inherit system; };
    };
    fetchurl =
      { name, hash, urls }:
      import <nix/fetchurl.nix> {
        inherit name hash;
        url = builtins.head urls;
      };
    rustPlatform = { inherit buildRustPackage; };
    installShellFiles = makeSetupHook { name = "install-shell-files"; } ./install-shell-files.sh;
    gitMinimal = "/usr";
  };

  # A set that overlays extend.
  fix =
    make:
    let
      final = make final;
    in
    final
    // {
      extend =
        overlay:
        fix (
          final:
          let
            prev = make final;
          in
          prev // overlay final prev
        );
    };
in
{
  inherit lib;
  pkgs = fix own;
}
