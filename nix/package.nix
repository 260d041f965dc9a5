# lockwright itself, from this repository: its dependencies are those of Cargo.lock, each a fixed output.

{
  lib,
  rustPlatform,
  installShellFiles,
}:

rustPlatform.buildRustPackage {
  pname = "lockwright";
  version = (lib.importTOML ../Cargo.toml).package.version;

  src = lib.fileset.toSource {
    root = ./..;
    # nix/ has what is part of the program.
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../README.md
      ../benches
      ../examples
      ../nix
      ../schema
      ../src
    ];
  };

  cargoLock.lockFile = ../Cargo.lock;
  nativeBuildInputs = [ installShellFiles ];
  # The tests ask other tools: uv, npm, Nix.
  doCheck = false;

  postInstall = ''
    $out/bin/lockwright man --out man
    installManPage man/*
    for shell in bash fish zsh; do $out/bin/lockwright completions $shell > lockwright.$shell; done
    installShellCompletion lockwright.{bash,fish,zsh}
  '';

  meta = {
    description = "Assembles environments straight from lockfiles, the same to the byte each time";
    license = [
      lib.licenses.mit
      lib.licenses.asl20
    ];
    mainProgram = "lockwright";
    platforms = lib.platforms.linux;
  };
}
