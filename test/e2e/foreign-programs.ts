// Programs that Nix did not build, as CI systems and editors bring them into containers: in C, in C++, and
// Node as nodejs.org builds it. Each prints who it is, and nothing else.

import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { missingClient } from "./clients.ts";
import { run } from "./daemon.ts";

/** Takes zlib and openssl by their names alone, as what is not linked with them does. */
const C = `#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
int main(int count, char **arguments) {
  const char *names[] = { "libz.so.1", "libssl.so.3" };
  for (int i = 0; i < 2; i++) if (!dlopen(names[i], RTLD_NOW)) return puts(dlerror()), 1;
  return printf("C %.0f\\n", sqrt(count * 9.0)) < 0;
}
`;
/** What is thrown is unwound by libgcc_s. */
const CXX = `#include <iostream>
#include <stdexcept>
int main() {
  try { throw std::runtime_error("C++"); }
  catch (const std::exception &error) { std::cout << error.what() << std::endl; }
}
`;
/** Starts a program of the image, whose libraries are none of Node's business. */
const SCRIPT = `const { execFileSync } = require("node:child_process");
console.log("Node", execFileSync("env", ["echo", "starts"], { encoding: "utf8" }).trim());
`;

export interface ForeignProgram {
  readonly name: string;
  /** Below the folder. */
  readonly command: readonly string[];
  readonly prints: string;
  /** Why it cannot be made here, or false. */
  readonly missing: string | false;
}

export const FOREIGN_PROGRAMS: readonly ForeignProgram[] = [
  { name: "C", command: ["c"], prints: "C 3", missing: missingClient("gcc") },
  { name: "C++", command: ["cxx"], prints: "C++", missing: missingClient("g++") },
  { name: "Node", command: ["node", "script.js"], prints: "Node starts", missing: false },
];

/** Puts those that can be made here into a folder. */
export async function makeForeignPrograms(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const write = (name: string, text: string) => writeFile(join(folder, name), text);
  await write("c.c", C);
  await write("cxx.cc", CXX);
  await write("script.js", SCRIPT);
  // Under npm it is that of nodejs.org.
  await copyFile(process.execPath, join(folder, "node"));
  const compile = (compiler: string, name: string, source: string) =>
    missingClient(compiler) === false &&
    run(compiler, ["-o", join(folder, name), join(folder, source), "-lm"]);
  await compile("gcc", "c", "c.c");
  await compile("g++", "cxx", "cxx.cc");
}
