installManPage() { mkdir -p "$out/share/man/man1"; cp "$@" "$out/share/man/man1"; }
installShellCompletion() { mkdir -p "$out/share/completions"; cp "$@" "$out/share/completions"; }
