// For `npm run coverage`: a process that runs test files is ended without a chance to write what it
// has seen, so it writes that after each file.

import { takeCoverage } from "node:v8";
import { afterAll } from "vitest";

afterAll(() => takeCoverage());
