/** The JSON of the report, which the page carries where it is small: copied, or saved as a file. */
import { byId } from "./elements.js";

/** Brings the buttons to life, where there are any. */
export function offerJson() {
  const holder = document.getElementById("report-json");
  if (holder === null) return;
  const read = () => /** @type {string} */ (JSON.parse(holder.textContent ?? ""));
  const say = (/** @type {string} */ words) => {
    byId("json-status").textContent = words;
  };
  const [copy, download] = [byId("json-copy"), byId("json-download")];
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(read());
      say("Copied");
    } catch {
      say("The browser does not let the page copy: download it");
    }
  });
  download.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([read()], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = download.dataset.name ?? "";
    link.click();
    URL.revokeObjectURL(address);
    say("Saved");
  });
  byId("json").hidden = false;
}
