# Calls lockwright in a derivation: by itself, since a sandbox has no shell that could be relied on, and no coreutils.
# Where nixpkgs' stdenv is given, in a derivation of its own kind: with overrideAttrs, hooks, compilers.

{
  system,
  # The package, or anything with bin/lockwright in it; without one, what builders find on their PATH.
  lockwright ? null,
  # What lockwright finds on its PATH.
  path ? [ ],
  stdenv ? null,
}:

let
  inherit (builtins) concatStringsSep map replaceStrings;

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
        builder = "${lockwright}/bin/lockwright";
        args = [ ];
      };

  # Where a machine has its own programs.
  usual = if isOnPath then [ "/usr/local/bin" "/usr/bin" "/bin" ] else [ ];
in
{
  inherit quoted;

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
}
