// Debian's chromium, with its profile and everything that it saves in FOLDER. MORE: further options.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

export function launch(folder, more = []) {
  mkdirSync(join(folder, "profile"));
  return chromium.launchPersistentContext(join(folder, "profile"), {
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    viewport: { width: 1280, height: 900 },
    acceptDownloads: true,
    downloadsPath: folder,
    locale: "en-US",
    ignoreHTTPSErrors: true,
    env: { ...process.env, HOME: folder },
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--no-proxy-server", ...more],
  });
}
