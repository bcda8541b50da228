// Buttons that copy what stands in the element that they name, and say so.

export function copyFrom(root: HTMLElement, told: HTMLElement): void {
  root.addEventListener("click", (event) => {
    const button = event.target;
    if (!(button instanceof HTMLButtonElement) || button.dataset.copy === undefined) return;
    const code = document.getElementById(button.dataset.copy)?.querySelector("code");
    if (code) void copy(code, button, told);
  });
}

const SAID_MS = 2000;

async function copy(code: HTMLElement, button: HTMLElement, told: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(code.textContent);
    told.textContent = "Copied.";
    button.classList.add("done");
    button.textContent = "Copied";
    setTimeout(() => {
      button.classList.remove("done");
      button.textContent = "Copy";
      told.textContent = "";
    }, SAID_MS);
  } catch {
    // Without TLS browsers give no clipboard: what is selected can be copied by hand.
    getSelection()?.selectAllChildren(code);
    told.textContent = "Selected: copy it with Ctrl+C.";
  }
}
