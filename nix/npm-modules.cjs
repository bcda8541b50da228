// The builder of package.nix's npm packages: a build that may use the network, since its result is
// known beforehand. What npm writes of its own, and about the machine, is left out.

const { spawnSync } = require("node:child_process");
const { cpSync, rmSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const { certificates, lock, manifest, npm, out } = process.env;
writeFileSync("package.json", manifest);
writeFileSync("package-lock.json", lock);

// Nix sets the variables that it lets through to nothing where its user has not set them.
const given = Object.entries(process.env).filter(([, value]) => value !== "");
const environment = {
  ...(certificates === "" ? {} : { NODE_EXTRA_CA_CERTS: certificates }),
  ...Object.fromEntries(given),
  HOME: process.cwd(),
};
const quiet = ["--no-audit", "--no-fund", "--no-progress", "--no-update-notifier"];
const options = ["--ignore-scripts", "--omit=dev", "--no-bin-links", "--loglevel=error", ...quiet];
const { status } = spawnSync(process.execPath, [npm, "ci", ...options], {
  env: environment,
  stdio: ["ignore", 2, 2],
});
if (status !== 0) process.exit(1);
rmSync(join("node_modules", ".package-lock.json"));
cpSync("node_modules", out, { recursive: true });
