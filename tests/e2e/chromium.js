// Debian's chromium, with its profile and everything that it saves in FOLDER.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

export function launch(folder) {
  mkdirSync(join(folder, "profile"));
  return chromium.launchPersistentContext(join(folder, "profile"), {
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    viewport: { width: 1280, height: 900 },
    acceptDownloads: true,
    downloadsPath: folder,
    locale: "en-US",
    env: { ...process.env, HOME: folder },
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--no-proxy-server"],
  });
}
