# A lock or a lockwright.toml as derivations, read from graph.json beside this file. Both are written by
# `lockwright export nix`, and made anew with it whenever the lock changes; this file says what they mean.
#
#   import ./nix/lockwright { lockwright = pkgs.lockwright; python = pkgs.python314; }
#
# has the environment (or nodeModules, or each component by its name), and in `parts` all that they are made of:
# artifacts and commits, which are fixed outputs, and built wheels. Nothing of nixpkgs is needed, nothing is built
# or fetched while this is evaluated, and nothing is evaluated that nobody asks for.

{
  # One of the systems that the export is for.
  system ? builtins.currentSystem,
  # The package, or anything with bin/lockwright in it; without one, what builders find on their PATH.
  lockwright ? null,
  # The interpreter, or its package; without one, what lockwright finds on the PATH.
  python ? null,
  # What builds find on their PATH: compilers, pkg-config, git for commits.
  path ? [ ],
  # The project's folder.
  root ? ./. + "/${graph.root}",
  # What is asked in the place of addresses that begin so: { FROM = TO; }.
  mirrors ? { },
  # Fetches artifacts in the place of Nix's own builtin:fetchurl: nixpkgs' fetchurl, say.
  fetchurl ? null,
  # Makes derivations in the place of `derivation`: nixpkgs' stdenv, for overrideAttrs, hooks and compilers.
  stdenv ? null,
  # Folders in the place of a lockwright.toml's sources, and outputs in the place of components.
  sources ? { },
  components ? { },
  # Further arguments for lockwright, and further attributes for derivations: each is given a step of the graph, as
  # it stands in graph.json, and returns a list, or a set.
  arguments ? (step: [ ]),
  attributes ? (step: { }),
  # The graph.
  graph ? builtins.fromJSON (builtins.readFile ./graph.json),
}:

assert
  graph.format == 1
  || throw "graph.json was written by lockwright ${graph.lockwright}, and this file by another version: export it again";

let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    listToAttrs
    map
    mapAttrs
    pathExists
    placeholder
    stringLength
    substring
    toFile
    ;

  here =
    graph.systems.${system}
      or (throw "this export is for ${concatStringsSep ", " (attrNames graph.systems)}, not for ${system}: lockwright export nix --system ${system} adds it");

  inherit
    (import ./common.nix {
      inherit
        fetchurl
        lockwright
        path
        stdenv
        system
        ;
      mirrors = graph.mirrors // mirrors;
    })
    call
    file
    hasPrefix
    impureEnvVars
    interpreter
    mirrorFlags
    ;

  # Fixed outputs. -----------------------------------------------------------------------------------------------

  artifact =
    entry:
    if entry ? path then
      builtins.path {
        inherit (entry) name;
        path = root + "/${entry.path}";
        recursive = false;
      }
    else
      file { inherit (entry) name url hash; };

  # A folder as `lockwright fetch --vendor` writes it.
  vendor =
    { name, hash, list }:
    call {
      inherit name;
      arguments = [
        "fetch"
        "--list"
        (toFile "list.json" (builtins.toJSON list))
        "--vendor"
        (placeholder "out")
      ]
      ++ mirrorFlags;
      attributes = {
        inherit impureEnvVars;
        outputHashMode = "recursive";
        outputHashAlgo = "sha256";
        outputHash = hash;
      };
    };

  listed = entry: {
    artifacts = [
      {
        file_name = entry.file or entry.name;
        location.url = entry.url;
        digest = entry.hash;
        size = null;
      }
    ];
  };

  commit =
    id: entry:
    vendor {
      name = id;
      inherit (entry) hash;
      list.commits = [ (removeAttrs entry [ "hash" ]) ];
    };

  artifacts = mapAttrs (_: artifact) graph.artifacts;
  commits = mapAttrs commit graph.commits;

  # All in one, where the export says so. What is in the project is no part of it.
  whole = vendor {
    name = "artifacts";
    hash = graph.vendored;
    list = {
      artifacts = concatMap (id: (listed graph.artifacts.${id}).artifacts) (
        filter (id: graph.artifacts.${id} ? url) (attrNames graph.artifacts)
      );
      commits = map (id: removeAttrs graph.commits.${id} [ "hash" ]) (attrNames graph.commits);
    };
  };

  # Folders of the project. ----------------------------------------------------------------------------------------

  # What no build reads, and tools leave behind; lockwright leaves it out of a package's digest as well. Nor does
  # a package follow from the lock that it is in, or from this export.
  isAside =
    place: type:
    let
      name = baseNameOf place;
    in
    elem name [
      ".git"
      ".hg"
      ".svn"
      ".jj"
      "node_modules"
      "__pycache__"
      ".venv"
      "uv.lock"
    ]
    || builtins.match ".*\\.egg-info" name != null
    || (
      type == "directory"
      && (
        pathExists (place + "/pyvenv.cfg")
        || pathExists (place + "/CACHEDIR.TAG")
        || (pathExists (place + "/graph.json") && pathExists (place + "/default.nix"))
      )
    );

  folder =
    { path, only ? null, package ? false }:
    let
      top = root + (if path == "." then "" else "/${path}");
      isRead =
        place: type:
        let
          rest = substring (stringLength (toString top) + 1) (stringLength place) place;
          fits = part: rest == part || hasPrefix "${part}/" rest || (type == "directory" && hasPrefix "${rest}/" part);
        in
        only == null || builtins.any fits only;
    in
    builtins.path {
      path = top;
      name = "source";
      filter = place: type: isRead place type && !(package && isAside place type);
    };

  # Steps. -----------------------------------------------------------------------------------------------------------

  each = flag: concatMap (value: [ flag "${value}" ]);

  named = flag: set: concatMap (name: [ flag "${name}=${set.${name}}" ]) (attrNames set);

  pick = all: names: map (name: all.${name}) names;

  step =
    step:
    call {
      inherit (step) name;
      arguments =
        step.command
        ++ text (step.file or null)
        ++ place step
        ++ [
          "--out"
          (placeholder "out")
          "--offline"
        ]
        ++ (
          if step.prefix or false then
            [
              "--prefix"
              (placeholder "out")
            ]
          else
            [ ]
        )
        ++ (if step.python or false then interpreter python else [ ])
        ++ each "--find-links" (taken step)
        ++ each "--built" (pick wheels (step.wheels or [ ]))
        ++ named "--component" (
          listToAttrs (
            map (name: {
              inherit name;
              value = components.${name} or outputs.${name};
            }) (step.components or [ ])
          )
        )
        ++ named "--source" (mapAttrs (name: it: sources.${name} or (folder it)) (step.sources or { }))
        ++ arguments step;
      attributes = attributes step;
    };

  text =
    file:
    if file == null then
      [ ]
    else
      (if file.flag == null then [ ] else [ file.flag ]) ++ [ (toFile file.name file.text) ];

  # A manifest's folder is said by a flag, a project's is what is assembled.
  place =
    step:
    if !(step ? folder) then
      [ ]
    else if step ? file then
      [
        "--folder"
        "${folder step.folder}"
      ]
    else
      [ "${folder step.folder}" ];

  taken =
    step:
    let
      ids = step.artifacts or [ ];
    in
    if graph ? vendored then
      (if ids == [ ] && !(step ? commits) then [ ] else [ whole ])
      ++ pick artifacts (filter (id: graph.artifacts.${id} ? path) ids)
    else
      pick artifacts ids ++ pick commits (step.commits or [ ]);

  wheels = mapAttrs (_: step) here.wheels;
  outputs = mapAttrs (_: step) here.outputs;
in
outputs
// {
  parts = {
    inherit artifacts commits wheels outputs;
    systems = attrNames graph.systems;
  }
  // (if graph ? vendored then { inherit whole; } else { });
}
