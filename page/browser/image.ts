// What the page of an image does besides being read.

import { addCopyButtons } from "./copy.ts";

addCopyButtons(document);
