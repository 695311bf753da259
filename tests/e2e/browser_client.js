// The demo site in a real browser, Debian's chromium: node browser_client.js URL ENGINE FOLDER
//
// FOLDER is empty: the browser's profile and the screenshots go there. Prints each step that went well;
// at "stop me" whoever started this stops the server, which the page must notice.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { launch } from "./chromium.js";

const [url, engine, folder] = process.argv.slice(2);
const size = 64 << 20;
const wait = { timeout: 60_000 };
const origin = new URL(url).origin;

// What no page of ours may cause, collected from all tabs.
const troubles = [];
const downloads = [];  // requests of the large file by the page's script

function watch(page, name) {
  page.setDefaultTimeout(wait.timeout);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) troubles.push(`${name}: ${message.text()}`);
  });
  page.on("pageerror", (error) => troubles.push(`${name}: ${error}`));
  page.on("requestfailed", (request) => {
    const paused = request.url().endsWith("/large.bin") && request.failure().errorText === "net::ERR_ABORTED";
    if (!paused) troubles.push(`${name}: ${request.url()} ${request.failure().errorText}`);
  });
  page.on("request", (request) => {
    const whose = new URL(request.url());
    if (whose.origin !== origin && whose.protocol.startsWith("http")) troubles.push(`${name} asked ${whose}`);
  });
  page.on("response", async (response) => {
    if (response.status() >= 400) troubles.push(`${name}: ${response.status()} for ${response.url()}`);
    if (!response.url().endsWith("/large.bin")) return;
    downloads.push({ status: response.status(), asked: response.request().headers(), got: response.headers() });
  });
}

const text = (page, id) => page.locator(`#${id}`).innerText();

async function until(page, id, pattern) {
  try {
    await page.locator(`#${id}`).filter({ hasText: pattern }).waitFor(wait);
  } catch (error) {
    throw new Error(`#${id} never showed ${pattern}, but: ${JSON.stringify(await text(page, id))}`, { cause: error });
  }
}

async function open(context, name) {
  const page = await context.newPage();
  watch(page, name);
  await page.goto(url);
  await until(page, "chat-state", /^connected$/);
  await until(page, "counter-state", /^connected$/);
  return page;
}

async function loads(context) {
  const page = await open(context, "first tab");
  assert.equal(await page.title(), "Sluice");
  await until(page, "engine", new RegExp(`${engine.replace("io_", "")}`));
  assert.match(await text(page, "engine-reason"), /^Chosen at start-up: ./);
  assert.match(await text(page, "shards"), /^\d+$/);
  assert.match(await text(page, "mode"), /^(classic|high-perf)$/);
  const icon = await page.locator(".brand img").evaluate((image) => image.naturalWidth);
  assert.ok(icon > 0, "the picture did not load");
  return page;
}

async function say(page, words) {
  await page.locator("#chat-input").fill(words);
  await page.locator("#chat-send").click();
}

async function rename(page, name, room) {
  await page.locator("#chat-name").fill(name);
  await page.locator("#chat-name").press("Enter");
  if (room) await page.locator("#chat-room").selectOption(room);
  await page.locator("#chat-send:not([disabled])").waitFor();
}

async function chats(context, ann) {
  const ben = await open(context, "second tab"), cleo = await open(context, "third tab");
  await rename(ann, "Ann");
  await rename(ben, "Ben");
  await rename(cleo, "Cleo", "tailwater");
  await until(cleo, "chat-log", /You are in tailwater/);
  await say(ann, "good morning, Ben");
  await until(ben, "chat-log", /Ann\s*good morning, Ben/);
  await say(ben, "<b>good</b> morning, Ann \u2600");
  await until(ann, "chat-log", /Ben\s*<b>good<\/b> morning, Ann \u2600/);
  assert.equal(await ann.locator("#chat-log li.other b").count(), 1);  // the name, and no markup of Ben's
  await say(cleo, "anybody here?");
  await until(cleo, "chat-log", /anybody here\?/);
  assert.doesNotMatch(await text(cleo, "chat-log"), /morning/);
  assert.doesNotMatch(await text(ann, "chat-log"), /anybody/);
  await ben.screenshot({ path: join(folder, "chat.png") });
  await cleo.close();
  await rename(ben, "Benjamin");
  await until(ann, "chat-log", /Ben left/);
  await ben.close();
  await until(ann, "chat-log", /Benjamin left/);
}

const bytesIn = (words) => Number(/([\d,]+)/.exec(words)[1].replaceAll(",", ""));

async function resumes(page) {
  downloads.length = 0;
  await page.locator("#download-start").click();
  await page.waitForFunction(() => document.getElementById("download-progress").value > 2e6);
  await page.locator("#download-pause").click();
  await until(page, "download-state", /^paused$/);
  const stopped = bytesIn(/byte (.*)/.exec(await text(page, "download-status"))[1]);
  assert.ok(stopped > 2e6 && stopped < size, `it stopped at ${stopped}`);
  await page.screenshot({ path: join(folder, "paused.png"), fullPage: true });
  await page.locator("#download-pace").selectOption("0");
  await page.locator("#download-start").click();
  await until(page, "download-state", /^complete$/);
  assert.equal(await text(page, "download-status"),
               `Complete: ${size.toLocaleString("en-US")} bytes in 2 requests, every byte verified.`);
  assert.deepEqual(downloads.map(({ status, asked, got }) => [status, asked.range, got["content-range"]]),
                   [[206, "bytes=0-", `bytes 0-${size - 1}/${size}`],
                    [206, `bytes=${stopped}-`, `bytes ${stopped}-${size - 1}/${size}`]]);
  assert.equal(downloads[1].asked["if-range"], downloads[0].got.etag);
  console.log(`paused at byte ${stopped}`);
}

function formula() {
  const hash = createHash("sha256"), piece = new Uint32Array(1 << 16);
  for (let k = 0; k < size / 4; k += piece.length) {
    for (let i = 0; i < piece.length; i++) piece[i] = Math.imul(k + i, 2654435761);
    hash.update(new Uint8Array(piece.buffer));
  }
  return hash.digest("hex");
}

async function saves(page) {
  const coming = page.waitForEvent("download", wait);
  await page.locator("#download-link").click();
  const download = await coming;
  assert.equal(download.suggestedFilename(), "large.bin");
  const hash = createHash("sha256");
  for await (const piece of createReadStream(await download.path())) hash.update(piece);
  assert.equal(hash.digest("hex"), formula(), "the saved file has other bytes");
  await download.delete();
}

async function counts(page) {
  const number = async (id) => bytesIn(await text(page, id));
  const requests = await number("counter-requests"), uptime = await text(page, "uptime");
  await page.locator("#counter-load").click();
  await until(page, "counter-load-status", /^200 of 200 answered in \d+ ms\.$/);
  await page.waitForFunction((least) => Number(document.getElementById("counter-requests").textContent
    .replaceAll(",", "")) >= least, requests + 200);
  await page.waitForFunction((before) => document.getElementById("uptime").textContent !== before, uptime);
  assert.ok(await number("counter-connections") >= 2);
  assert.match(await text(page, "counter-connections-note"), / 2 of them WebSockets/);
  await page.waitForFunction(() => document.getElementById("spark-requests").getAttribute("d").includes("L"));
}

async function shows(page) {
  await page.screenshot({ path: join(folder, "desktop.png"), fullPage: true });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: join(folder, "dark.png"), fullPage: true });
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 360, height: 740 });
  await page.screenshot({ path: join(folder, "phone.png"), fullPage: true });
  // Nothing sticks out of its card, nor the page out of a phone.
  const out = await page.evaluate(() => [...document.querySelectorAll(".card :is(p, h2, input, select, button, ol, progress)")]
    .filter((element) => {
      const card = element.closest(".card"), style = getComputedStyle(card);
      const right = card.getBoundingClientRect().right - parseFloat(style.paddingRight);
      return element.getBoundingClientRect().right > right + 1;
    }).map((element) => element.id || element.className || element.textContent));
  assert.deepEqual(out, []);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, "the page is wider than a phone");
}

async function run(context) {
  const step = async (name, work) => {
    const begin = performance.now();
    const result = await work;
    assert.deepEqual(troubles, [], name);
    console.log(`${name}: ${Math.round(performance.now() - begin)} ms`);
    return result;
  };
  const page = await step("loads", loads(context));
  await step("chats", chats(context, page));
  await step("resumes", resumes(page));
  await step("saves", saves(page));
  await step("counts", counts(page));
  await step("shows", shows(page));
  console.log("stop me");
  await until(page, "chat-state", /^no server, trying again/);
  console.log("all well");
}

const context = await launch(folder);
try {
  await run(context);
} catch (error) {
  console.error(error, "\ntroubles:", troubles, "\ndownloads:", downloads);
  const pages = context.pages();
  for (const page of pages) console.error(page.url(), await page.locator("body").innerText().catch(String));
  process.exitCode = 1;
} finally {
  await context.close();
}
