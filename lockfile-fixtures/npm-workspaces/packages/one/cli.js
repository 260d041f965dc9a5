#!/usr/bin/env node
console.log("one with", require("@lockwright-fixture/two"), "and semver", require("semver/package.json").version);
