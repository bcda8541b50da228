// A wheel such as package indexes have them, with parts that Nix did not build: an extension module in C,
// one in C++, and a program.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { missingClient } from "./clients.ts";
import { run } from "./daemon.ts";

export const missingCompilers = missingClient("gcc", "g++");

/** Without Python's headers, which the machine need not have: 1013 is the version of its interface. */
const MODULE = `
struct Definition { long count; void *type, *init; long index; void *copy; const char *name, *doc;
  long size; void *methods, *slots, *traverse, *clear, *release; };
static struct Definition definition = { 1, 0, 0, 0, 0, "foreign", 0, -1, 0, 0, 0, 0, 0 };
`;
const C = `${MODULE}
void *PyModule_Create2(struct Definition *, int);
void *PyInit_c(void) { return PyModule_Create2(&definition, 1013); }
`;
const CXX = `#include <stdexcept>
${MODULE}
extern "C" void *PyModule_Create2(Definition *, int);
extern "C" void *PyInit_cxx() {
  try { throw std::runtime_error("C++"); }
  catch (const std::exception &) { return PyModule_Create2(&definition, 1013); }
}
`;
const PROGRAM = `#include <stdio.h>
int main() { return puts("program") < 0; }
`;

/** The files of the wheel, as they are in its archive, below `folder`. */
export async function makeForeignWheel(folder: string): Promise<void> {
  const scripts = "foreign-1.0.data/scripts";
  const info = "foreign-1.0.dist-info";
  for (const name of ["foreign", scripts, info]) {
    await mkdir(join(folder, name), { recursive: true });
  }
  const sources = `${folder}-sources`;
  await mkdir(sources, { recursive: true });
  const compile = async (source: string, text: string, to: string, options: readonly string[]) => {
    const compiler = source.endsWith(".c") ? "gcc" : "g++";
    await writeFile(join(sources, source), text);
    await run(compiler, [...options, "-o", join(folder, to), join(sources, source)]);
  };
  const library = ["-shared", "-fPIC"];
  await compile("c.c", C, "foreign/c.so", library);
  await compile("cxx.cc", CXX, "foreign/cxx.so", library);
  await compile("program.c", PROGRAM, `${scripts}/foreign`, []);
  await writeFile(join(folder, "foreign/__init__.py"), "");
  await writeFile(
    join(folder, info, "METADATA"),
    "Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n",
  );
  await writeFile(
    join(folder, info, "WHEEL"),
    "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
  );
  await writeFile(join(folder, info, "RECORD"), "");
}
