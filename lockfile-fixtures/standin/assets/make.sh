set -eu
mkdir -p dist
{ echo "// $MODE"; cat "$1"; } >dist/app.js
echo scratch >scratch.txt
