#!/usr/bin/env node
// Starts the program of this machine's package, which npm has installed as an optional dependency.
"use strict";
const { spawnSync } = require("node:child_process");

const name = `@lockwright/${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}/bin/lockwright`);
} catch {
  const known = Object.keys(require("../package.json").optionalDependencies).join(", ");
  console.error(
    `error: the package ${name} is not installed, and it has the program. It is an optional dependency: ` +
      `install without --omit=optional, on a machine that there is a package for (${known})`,
  );
  process.exit(1);
}
// A terminal sends its signals to the program as well, which decides what they mean.
for (const signal of ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
const ran = spawnSync(program, process.argv.slice(2), { stdio: "inherit" });
if (ran.error) {
  console.error(`error: ${program} cannot be started: ${ran.error.message}`);
  process.exit(1);
}
// What ended the program ends this one too.
if (ran.signal) {
  process.removeAllListeners(ran.signal);
  process.kill(process.pid, ran.signal);
}
process.exit(ran.status ?? 1);
