// A process that stores and stops at a moment of its argument, where it is killed or told to go on.

import { open } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { bytesOf, layerKey, patternOf } from "../../contract/blob-store.ts";

const [root = "", moment = ""] = process.argv.slice(2);
const store = await openFilesystemStore(root);
const reached = () => process.stdout.write(`${moment}\n`);

if (moment === "half-staged") {
  const path = store.stagingPath();
  const handle = await open(path, "wx");
  await handle.write("who");
  reached();
  await text(process.stdin);
  await handle.write("le");
  await handle.sync();
  await handle.close();
  await store.storeFile(layerKey("value"), path);
} else if (moment === "stored") {
  await store.store(layerKey("value"), bytesOf("whole"));
  reached();
  await text(process.stdin);
} else {
  for (let size = 1; ; size = (size % 50) + 1) {
    await store.store(layerKey("value"), patternOf(size * 100_000));
    if (size === 1) reached();
  }
}
