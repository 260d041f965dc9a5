# lockwright in Nix: a lockwright.toml's components as derivations.
#
#   let
#     lockwright = import ./nix { lockwright = pkgs.lockwright; path = [ pkgs.coreutils pkgs.gitMinimal ]; };
#     project = ./.;
#     sources.app = pkgs.fetchgit { … };
#   in rec {
#     vendor = lockwright.vendor { inherit project sources python; hash = "sha256-…"; };
#     app = lockwright.component { name = "app"; inherit project sources python vendor; };
#   }
#
# Two ways are offered:
#
# - `vendor` and `component`. The one fixed output is a folder of raw artifacts, as they were downloaded. They refer to
#   nothing, so nothing is stripped from them, and their hash changes with the locks alone, not with the tools. All else
#   is done offline, in ordinary sandboxed derivations. `lockwright fetch lockwright.toml --vendor OUT` prints the hash.
# - `fixedOutput`: a whole component as a fixed output, with the network at hand, as `uv sync` is packaged today. Such a
#   component says `seal = "fixed-output"`, and `lockwright build` prints the hash beforehand.
#
# Nothing of nixpkgs is needed to evaluate this file.

{
  # The package, or anything with bin/lockwright in it.
  lockwright,
  # What builds find on their PATH: coreutils, and git for git sources that are fetched.
  path ? [ ],
  # Runs the few lines that call lockwright.
  shell ? "/bin/sh",
  system ? builtins.currentSystem,
}:

let
  inherit (builtins) attrNames concatStringsSep map;

  # `--flag NAME=VALUE` for each of a set, quoted for the shell.
  each = flag: set: map (name: "--${flag} ${quoted "${name}=${toString set.${name}}"}") (attrNames set);

  quoted = text: "'" + builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString text) + "'";

  # What all calls say.
  common =
    {
      sources ? { },
      mirrors ? { },
      python ? null,
      arguments ? [ ],
      ...
    }:
    each "source" sources
    ++ each "mirror" mirrors
    ++ (if python == null then [ ] else [ "--python ${quoted python}" ])
    ++ map quoted arguments;

  # A component is built beside its output and moved there: what lies beside a tree is no part of it.
  build =
    args:
    {
      name,
      project,
      manifest ? "lockwright.toml",
      components ? { },
      ...
    }:
    concatStringsSep " " (
      [
        "${lockwright}/bin/lockwright build ${quoted name}"
        "--file ${quoted "${project}/${manifest}"}"
        "--out \"$NIX_BUILD_TOP/result\" --prefix \"$out\" --store \"$NIX_BUILD_TOP/store\""
      ]
      ++ each "component" components
      ++ common args
    )
    + "\nmv \"$NIX_BUILD_TOP/result\" \"$out\"";

  run =
    attributes: script:
    derivation (
      {
        inherit system;
        builder = shell;
        args = [
          "-euc"
          ''
            export HOME="$NIX_BUILD_TOP/home"
            ${script}
          ''
        ];
        PATH = concatStringsSep ":" (map (place: "${place}/bin") path);
      }
      // attributes
    );

  fixed = hash: {
    # Proxies, as they are outside. Certificates are the sandbox's, or else lockwright's own.
    impureEnvVars = [
      "http_proxy"
      "https_proxy"
      "ftp_proxy"
      "all_proxy"
      "no_proxy"
      "HTTP_PROXY"
      "HTTPS_PROXY"
      "ALL_PROXY"
      "NO_PROXY"
    ];
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
    outputHash = hash;
  };
in
{
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
    {
      name ? "vendor",
      project,
      manifest ? "lockwright.toml",
      hash,
      ...
    }@args:
    run ({ inherit name; } // fixed hash) (
      concatStringsSep " " (
        [
          "${lockwright}/bin/lockwright fetch ${quoted "${project}/${manifest}"}"
          "--vendor \"$NIX_BUILD_TOP/result\" --store \"$NIX_BUILD_TOP/store\""
        ]
        ++ common args
      )
      + "\nmv \"$NIX_BUILD_TOP/result\" \"$out\""
    );

  # A component, from vendored artifacts, without a network. Takes what `vendor` does, and
  #
  # name        the component
  # vendor      the folder of artifacts; may be left out where the component needs none
  # components  others that it needs, made already: { NAME = derivation; }
  component =
    {
      name,
      vendor ? null,
      arguments ? [ ],
      ...
    }@args:
    run { inherit name; } (
      build (
        args
        // {
          arguments = [
            "--offline"
          ]
          ++ (
            if vendor == null then
              [ ]
            else
              [
                "--find-links"
                "${vendor}"
              ]
          )
          ++ arguments;
        }
      ) args
    );

  # A component as a fixed output, with the network at hand. Takes what `vendor` does, `name`, and `hash`, which
  # `lockwright build NAME` prints beforehand.
  fixedOutput = { name, hash, ... }@args: run ({ inherit name; } // fixed hash) (build args args);
}
