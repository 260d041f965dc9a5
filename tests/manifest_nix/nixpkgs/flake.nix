{
  outputs =
    { self }:
    {
      inherit (import ./. { system = "x86_64-linux"; }) lib;
      legacyPackages = builtins.listToAttrs (
        map (system: {
          name = system;
          value = (import ./. { inherit system; }).pkgs;
        }) [ "x86_64-linux" "aarch64-linux" ]
      );
    };
}
