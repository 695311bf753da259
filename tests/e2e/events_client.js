// A browser's EventSource against e2e_events_server: node events_client.js URL FOLDER
//
// FOLDER is empty: the browser's profile goes there. Prints "all well" in the end.
import assert from "node:assert/strict";
import { launch } from "./chromium.js";

const [url, folder] = process.argv.slice(2);
const post = async (path, body) => assert.equal((await fetch(new URL(path, url), { method: "POST", body })).status, 204);
const say = (id, text) => post(`/say?id=${encodeURIComponent(id)}`, text);

async function run(context) {
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(url);
  await page.evaluate(() => {
    window.told = [];
    window.opened = window.lost = 0;
    window.source = new EventSource("/events");
    source.onopen = () => ++opened;
    source.onerror = () => ++lost;
    source.addEventListener("line", (event) => told.push([event.lastEventId, event.data]));
    source.onmessage = (event) => told.push(["no type", event.data]);
  });
  const opened = (times) => page.waitForFunction((least) => opened >= least, times);
  const told = (count) => page.waitForFunction((least) => told.length >= least, count);

  await opened(1);
  await say("1", "good morning");
  await say("gr\u00fc\u00df 2", " two\nlines \u2600\r\nand a third\n");
  await told(2);
  await post("/cut");
  await say("3", "to nobody, or not");  // it comes back by itself, and is told what it missed
  await opened(2);
  await say("4", "after all");
  await told(4);
  await post("/cut");
  await opened(3);
  await say("5", "last");
  await told(5);
  assert.deepEqual(await page.evaluate(() => told), [
    ["1", "good morning"], ["gr\u00fc\u00df 2", " two\nlines \u2600\nand a third\n"],
    ["3", "to nobody, or not"], ["4", "after all"], ["5", "last"]]);
  const seen = (await (await fetch(new URL("/seen", url))).text()).split("\n");
  assert.deepEqual(seen, ["", "gr\u00fc\u00df 2", "4", ""]);
  assert.equal(await page.evaluate(() => lost), 2);
  await page.evaluate(() => source.close());
}

const context = await launch(folder);
try {
  await run(context);
  console.log("all well");
} catch (error) {
  console.error(error);
  for (const page of context.pages()) console.error(await page.evaluate(() => [window.opened, window.lost, window.told]).catch(String));
  process.exitCode = 1;
} finally {
  await context.close();
}
