# lockwright in Nix, for whoever calls it by hand.
#
#   lockwright = import ./nix { lockwright = pkgs.lockwright; };
#
#   lockwright.nodeModules { src = ./web; }                        # node_modules of a package-lock.json, tarball by tarball
#   lockwright.loadWorkspace ./nix/lockwright { inherit python; }  # what `lockwright export nix` has written
#   lockwright.fixedOutput { name = "deps"; project = ./.; inherit python; hash = "sha256-…"; }
#   lockwright.vendor { project = ./.; inherit python; hash = "sha256-…"; }
#   lockwright.component { name = "app"; project = ./.; inherit python vendor; }
#
# - `lockwright export nix` (graph.nix) is the first choice: every artifact, built wheel and component is a derivation
#   of its own, and a bump fetches and builds what it changes.
# - `vendor` and `component`: one fixed output of all raw artifacts, as they were downloaded, whose hash changes with
#   the locks alone (`lockwright fetch lockwright.toml --vendor OUT` prints it); all else is done offline.
# - `fixedOutput`: a whole component as a fixed output, with the network at hand, as `uv sync` is packaged today. Such a
#   component says `seal = "fixed-output"`, and `lockwright build` prints the hash beforehand.
#
# Nothing of nixpkgs is needed to evaluate this file. All functions take `attributes` for the derivation, too: `meta`,
# `passthru`, `nativeBuildInputs`, whatever stdenv knows.

{
  # The package, or anything with bin/lockwright in it.
  lockwright ? null,
  # What builds find on their PATH: compilers, and git for git sources that are fetched.
  path ? [ ],
  system ? builtins.currentSystem,
  # nixpkgs' stdenv, for overrideAttrs, hooks and compilers.
  stdenv ? null,
  # nixpkgs' fetchurl, in the place of Nix's own.
  fetchurl ? null,
}:

let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    filter
    fromJSON
    hasAttr
    head
    match
    pathExists
    placeholder
    readFile
    ;

  common =
    mirrors:
    import ./common.nix {
      inherit
        fetchurl
        lockwright
        mirrors
        path
        stdenv
        system
        ;
    };

  inherit (common { }) call impureEnvVars interpreter;

  # `--flag NAME=VALUE` for each of a set.
  each = flag: set: concatMap (name: [ flag "${name}=${toString set.${name}}" ]) (attrNames set);

  # What all calls say.
  said =
    {
      sources ? { },
      mirrors ? { },
      python ? null,
      arguments ? [ ],
      ...
    }:
    each "--source" sources ++ (common mirrors).mirrorFlags ++ interpreter python ++ arguments;

  file =
    {
      project,
      manifest ? "lockwright.toml",
      ...
    }:
    "${project}/${manifest}";

  build =
    args:
    [
      "build"
      args.name
      "--file"
      (file args)
      "--out"
      (placeholder "out")
    ]
    ++ each "--component" (args.components or { })
    ++ said args;

  fixed = hash: {
    inherit impureEnvVars;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
    outputHash = hash;
  };

  # npm's names for a system of Nix's.
  npmSystem =
    let
      parts = match "([^-]*)-(.*)" system;
      cpus = {
        x86_64 = "x64";
        aarch64 = "arm64";
        i686 = "ia32";
        armv7l = "arm";
        armv6l = "arm";
        powerpc64le = "ppc64";
      };
      cpu = head parts;
    in
    {
      os = builtins.elemAt parts 1;
      cpu = cpus.${cpu} or cpu;
    };
in
{
  # The node_modules of a project with a package-lock.json: $out/node_modules, as `npm ci --ignore-scripts` writes it.
  # Each tarball is a fixed output by the lock's own digest; what is for other systems alone is not fetched.
  #
  # src        the project's folder
  # omit       what is left out: [ "dev" "optional" "peer" ]
  # lockFile   [package-lock.json]
  # os, cpu, libc  the machine, in npm's words
  # mirrors    { FROM = TO; }
  nodeModules =
    {
      src,
      name ? "node_modules",
      lockFile ? "package-lock.json",
      omit ? [ ],
      os ? npmSystem.os,
      cpu ? npmSystem.cpu,
      libc ? null,
      mirrors ? { },
      arguments ? [ ],
      attributes ? { },
      ...
    }:
    let
      lock = fromJSON (readFile (src + "/${lockFile}"));
      packages = attrValues (lock.packages or (throw "${toString src}/${lockFile} is of version 1, which does not say enough: make it anew with npm 7 or later"));
      isTarball = entry: entry ? resolved && match "https?://.*" entry.resolved != null;
      # As npm reads `os` and `cpu`: one of those named, or none of those that are ruled out.
      allows =
        own: said:
        let
          ruledOut = filter (one: builtins.substring 0 1 one == "!") said;
          named = filter (one: builtins.substring 0 1 one != "!") said;
        in
        !(builtins.elem "!${own}" ruledOut) && (named == [ ] || builtins.elem own named || builtins.elem "any" named);
      list = said: if builtins.isString said then [ said ] else said;
      isWanted =
        entry:
        isTarball entry
        && !(entry.inBundle or false)
        && !((entry.dev or false) && builtins.elem "dev" omit)
        && !((entry.optional or false) && !(allows os (list (entry.os or [ ])) && allows cpu (list (entry.cpu or [ ]))));
      # Of several digests the strongest, which npm writes first.
      strongest = integrity: head (filter builtins.isString (builtins.split " " integrity));
      fetched =
        entry:
        (common mirrors).file {
          url = entry.resolved;
          name = builtins.replaceStrings [ "~" "@" "%" "!" ] [ "-" "-" "-" "-" ] (baseNameOf entry.resolved);
          hash = strongest (
            entry.integrity or (throw "the lock has no digest for ${entry.resolved}, and Nix takes nothing without one: lock it again from a registry that gives digests")
          );
        };
    in
    call {
      inherit name attributes;
      arguments = [
        "sync"
        "${src}"
        "--out"
        (placeholder "out")
        "--offline"
        "--os"
        os
        "--cpu"
        cpu
      ]
      ++ (
        if libc == null then
          [ ]
        else
          [
            "--libc"
            libc
          ]
      )
      ++ concatMap (kind: [ "--omit" kind ]) omit
      ++ concatMap (entry: [ "--find-links" "${fetched entry}" ]) (filter isWanted packages)
      ++ arguments;
    };

  # What `lockwright export nix` has written to a folder, with what graph.nix takes: python, mirrors, sources, …
  loadWorkspace =
    exported: args:
    if pathExists (exported + "/graph.json") then
      import exported (
        {
          inherit
            lockwright
            path
            system
            stdenv
            fetchurl
            ;
        }
        // args
      )
    else
      throw "${toString exported} has no graph.json: lockwright export nix --out ${toString exported} writes it";

  # All that a manifest's components need from outside, as it was downloaded.
  #
  # project    the folder with the manifest and what it refers to
  # hash       printed by `lockwright fetch lockwright.toml --vendor OUT`
  # manifest   its file in there [lockwright.toml]
  # sources    folders in the place of its sources: { NAME = path; }
  # mirrors    { FROM = TO; }
  # python     the interpreter
  # arguments  more, for lockwright
  vendor =
    { hash, ... }@args:
    call {
      name = args.name or "vendor";
      attributes = fixed hash // (args.attributes or { });
      arguments = [
        "fetch"
        (file args)
        "--vendor"
        (placeholder "out")
      ]
      ++ said args;
    };

  # A component, from vendored artifacts, without a network. Takes what `vendor` does, and
  #
  # name        the component
  # vendor      the folder of artifacts; may be left out where the component needs none
  # components  others that it needs, made already: { NAME = derivation; }
  component =
    { name, ... }@args:
    call {
      inherit name;
      attributes = args.attributes or { };
      arguments =
        build args
        ++ [ "--offline" ]
        ++ (
          if hasAttr "vendor" args && args.vendor != null then
            [
              "--find-links"
              "${args.vendor}"
            ]
          else
            [ ]
        );
    };

  # A component as a fixed output, with the network at hand. Takes what `vendor` does, `name`, and `hash`, which
  # `lockwright build NAME` prints beforehand.
  fixedOutput =
    { name, hash, ... }@args:
    call {
      inherit name;
      attributes = fixed hash // (args.attributes or { });
      arguments = build args;
    };
}
