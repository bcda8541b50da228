// Buttons that copy the lines and digests of a page, where the browser lets a page do so.

const TOLD_MS = 2000;

export function addCopyButtons(within: ParentNode): void {
  if (navigator.clipboard === undefined) return;
  for (const shown of within.querySelectorAll<HTMLElement>("[data-copy]")) {
    const text = shown.textContent ?? "";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${text}`);
    button.addEventListener("click", () => void copy(button, text));
    shown.after(button);
  }
}

async function copy(button: HTMLButtonElement, text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // The browser has refused: the line can still be marked and copied by hand.
    button.textContent = "Not allowed";
  }
  setTimeout(() => {
    button.textContent = "Copy";
  }, TOLD_MS);
}
