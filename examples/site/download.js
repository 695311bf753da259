// A download that can be paused. Each request asks for the bytes that are missing (Range) of the very file it began with
// (If-Range), and each byte is compared with the formula the file is made by: the four bytes at offset 4k are k * 2654435761
// modulo 2^32, lowest byte first.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const start = byId("download-start"), pause = byId("download-pause"), pace = byId("download-pace");
  const progress = byId("download-progress"), status = byId("download-status"), ranges = byId("download-ranges");
  const url = "/download/large.bin";
  let offset = 0, size = 0, tag = "", parts = 0, wrong = -1, stop = null;

  const bytes = (n) => n.toLocaleString("en-US");

  function reset() {
    offset = size = parts = 0;
    tag = "";
    wrong = -1;
    ranges.replaceChildren();
  }

  function note(text) {
    const item = document.createElement("li");
    item.textContent = text;
    ranges.append(item);
    ranges.scrollTop = ranges.scrollHeight;
  }

  function check(piece) {
    for (let i = 0; i < piece.length; i++) {
      const at = offset + i;
      if (piece[i] !== ((Math.imul(at >>> 2, 2654435761) >>> (8 * (at & 3))) & 255)) return at;
    }
    return -1;
  }

  function show(words) {
    progress.max = size || 100;
    progress.value = offset;
    status.textContent = words || `${bytes(offset)} of ${bytes(size)} bytes`;
  }

  // Reads what the response brings; throws AbortError when paused.
  async function take(response, signal) {
    const reader = response.body.getReader();
    const began = performance.now(), from = offset;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      if (wrong < 0) wrong = check(value);
      offset += value.length;
      show();
      // Reading slowly is all it takes: the server waits for the reader.
      const rate = Number(pace.value) * 1048576 / 1000;
      const early = rate > 0 ? (offset - from) / rate - (performance.now() - began) : 0;
      if (early > 4) await new Promise((resolve) => setTimeout(resolve, early));
      signal.throwIfAborted();
    }
  }

  async function fetchRest() {
    stop = new AbortController();
    const headers = { Range: `bytes=${offset}-` };
    if (tag) headers["If-Range"] = tag;
    const response = await fetch(url, { headers, signal: stop.signal, cache: "no-store" });
    const range = response.headers.get("Content-Range");
    const known = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range || "");
    note(`Range: ${headers.Range}  →  ${response.status} ${range || ""}`);
    if (response.status === 206 && known && Number(known[1]) === offset) {
      size = Number(known[3]);
    } else if (response.status === 200) {  // another file than the one begun: from the front
      offset = 0;
      wrong = -1;
      size = Number(response.headers.get("Content-Length"));
    } else {
      throw new Error(`unexpected answer ${response.status}`);
    }
    tag = response.headers.get("ETag") || "";
    parts++;
    await take(response, stop.signal);
    if (offset !== size) throw new Error("the connection ended early");
  }

  async function run() {
    if (size > 0 && offset === size) reset();
    start.disabled = true;
    pause.disabled = false;
    showState("download-state", "downloading", "busy");
    try {
      await fetchRest();
      const requests = parts === 1 ? "1 request" : `${parts} requests`;
      if (wrong < 0) {
        showState("download-state", "complete", "good");
        show(`Complete: ${bytes(offset)} bytes in ${requests}, every byte verified.`);
      } else {
        showState("download-state", "damaged", "bad");
        show(`Complete, but the byte at offset ${bytes(wrong)} is wrong.`);
      }
      start.textContent = "Again";
    } catch (error) {
      const paused = error.name === "AbortError";
      showState("download-state", paused ? "paused" : "interrupted", paused ? "good" : "bad");
      show(`${paused ? "Paused" : "Interrupted"} at byte ${bytes(offset)}${size ? ` of ${bytes(size)}` : ""}.`);
      start.textContent = offset > 0 ? "Resume" : "Start";
    }
    start.disabled = false;
    pause.disabled = true;
    if (document.activeElement === document.body) start.focus();
  }

  start.addEventListener("click", run);
  pause.addEventListener("click", () => stop.abort());
})();
