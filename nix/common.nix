# What graph.nix and default.nix have in common: a call of lockwright, and a file that is fetched.
#
# lockwright is the builder itself, since a sandbox has no shell that could be relied on, and no coreutils. Where nixpkgs'
# stdenv is given, the derivation is of its kind: with overrideAttrs, hooks, compilers.

{
  system,
  # The package, or anything with bin/lockwright in it; without one, what builders find on their PATH.
  lockwright ? null,
  # What lockwright finds on its PATH.
  path ? [ ],
  # nixpkgs', in the place of `derivation` and of Nix's own builtin:fetchurl.
  stdenv ? null,
  fetchurl ? null,
  # What is asked in the place of addresses that begin so: { FROM = TO; }; the longest beginning wins.
  mirrors ? { },
}:

let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    head
    map
    replaceStrings
    sort
    stringLength
    substring
    ;

  quoted = text: "'" + replaceStrings [ "'" ] [ "'\\''" ] (toString text) + "'";

  isOnPath = lockwright == null;

  program =
    if isOnPath then
      {
        builder = "/bin/sh";
        args = [
          "-c"
          "exec lockwright \"$@\""
          "lockwright"
        ];
      }
    else
      {
        # A path that is no derivation's is meant where it is, and not to be copied into the store.
        builder = "${if builtins.isPath lockwright then toString lockwright else lockwright}/bin/lockwright";
        args = [ ];
      };

  # Where a machine has its own programs.
  usual = if isOnPath then [ "/usr/local/bin" "/usr/bin" "/bin" ] else [ ];
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;

  hasSuffix =
    suffix: text:
    let
      start = stringLength text - stringLength suffix;
    in
    start >= 0 && substring start (stringLength suffix) text == suffix;

  beginnings = sort (one: other: stringLength one > stringLength other) (attrNames mirrors);

  # As lockwright reads mirrors: TO may be a folder, and may lack the slash that FROM ends with.
  mirrored =
    url:
    let
      fits = filter (from: hasPrefix from url) beginnings;
      from = head fits;
      to = toString mirrors.${from};
      scheme = if hasPrefix "/" to then "file://" else "";
      slash = if hasSuffix "/" from && !hasSuffix "/" to then "/" else "";
      rest = substring (stringLength from) (stringLength url) url;
    in
    if fits == [ ] then url else "${scheme}${to}${slash}${rest}";

  # Of fixed outputs: proxies, and nixpkgs' way of saying where certificates are; else lockwright has its own.
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
    "NIX_SSL_CERT_FILE"
    "SSL_CERT_FILE"
  ];
in
{
  inherit hasPrefix impureEnvVars;

  # For lockwright's own calls.
  mirrorFlags = builtins.concatMap (from: [
    "--mirror"
    "${from}=${toString mirrors.${from}}"
  ]) beginnings;

  # The interpreter, or its package, as a flag.
  interpreter =
    python:
    if python == null then
      [ ]
    else
      [
        "--python"
        (if builtins.isAttrs python then python.interpreter or "${python}/bin/python3" else toString python)
      ];

  # A file, as a fixed output by its own digest.
  file =
    {
      name,
      url,
      hash,
    }:
    if fetchurl != null then
      fetchurl {
        inherit name hash;
        urls = if mirrored url == url then [ url ] else [ (mirrored url) url ];
      }
    else
      derivation {
        inherit name impureEnvVars;
        url = mirrored url;
        urls = [ (mirrored url) ];
        system = "builtin";
        builder = "builtin:fetchurl";
        outputHashMode = "flat";
        outputHashAlgo = null;
        outputHash = hash;
        preferLocalBuild = true;
        executable = false;
        unpack = false;
      };

  # name        of the derivation
  # arguments   of lockwright
  # attributes  further ones of the derivation
  call =
    {
      name,
      arguments,
      attributes ? { },
    }:
    if stdenv == null then
      derivation (
        {
          inherit name system;
          inherit (program) builder;
          args = program.args ++ arguments;
          PATH = concatStringsSep ":" (map (place: "${place}/bin") path ++ usual);
        }
        // removeAttrs attributes [
          "meta"
          "passthru"
        ]
      )
      // (attributes.passthru or { })
      // (if attributes ? meta then { inherit (attributes) meta; } else { })
    else
      stdenv.mkDerivation (
        {
          inherit name;
          buildCommand = "lockwright ${concatStringsSep " " (map quoted arguments)}";
        }
        // attributes
        // {
          nativeBuildInputs =
            (attributes.nativeBuildInputs or [ ]) ++ path ++ (if isOnPath then [ ] else [ lockwright ]);
        }
      );
}
