// Packs one large store path with two threads, in a process of its own, and says how much memory
// that took at most.

import { createPacker } from "../../../origin/layers/packer.ts";
import { FORMS } from "../../../registry/image/record.ts";
import { parseStorePath } from "../../../registry/naming/store-path.ts";

const [storeDirectory = "", path = "", formName = "", destination = ""] = process.argv.slice(2);
const storePath = parseStorePath(path);
const form = FORMS.find((one) => one === formName);
if (storePath === undefined || form === undefined) throw new Error("usage: store path form file");

const packer = createPacker({ workers: 2, storeDirectory });
const request = { segments: [{ storePath }], form, destination, sizeBytes: 3e8, group: "one" };
const { tarSizeBytes } = await packer.pack(request);
// Without closing the packer: idle threads must not keep a process alive.
console.log(JSON.stringify({ tarSizeBytes, maxRssKiB: process.resourceUsage().maxRSS }));
