// How long a person waits for the first screen: TIMES browsers, each on an empty profile, and what the time of
// the median went into. It asserts nothing: what a machine does beside this is in the figures.
//     KAGIMORI_BIN=bin/kagimori node console/e2e/first.mjs
import { browse, account, region, serve, world } from './kit.mjs';

const times = Number(process.env.TIMES ?? 11);
const server = await serve();
const w = world(server.url);
for (let i = 0; i < 25; i++) await w.key(`first-${i}`);

// watch notes in the page when something of a screen is there, at the frame that follows.
const watch = () => {
  const seen = (window.kagimoriSeen = {});
  const marks = { form: 'input[name=access-key]', frame: 'nav', row: 'tbody a[href*="keys/"]' };
  const done = () => [...document.querySelectorAll('tbody tr')].length === 20 && [...document.querySelectorAll('tbody tr')].every((r) => /Enabled/.test(r.textContent));
  const look = () => {
    for (const [name, selector] of Object.entries(marks)) if (!(name in seen) && document.querySelector(selector)) seen[name] = performance.now();
    if (!('filled' in seen) && done()) seen.filled = performance.now();
    if (!('filled' in seen)) requestAnimationFrame(() => setTimeout(look)); // after the frame
  };
  addEventListener('submit', (e) => (seen.submit = e.timeStamp), true);
  requestAnimationFrame(look);
};

async function once() {
  const browser = await browse();
  try {
    const page = await browser.context.newPage();
    await page.addInitScript(watch);
    await page.addInitScript(() => localStorage.setItem('kagimori.language', 'en'));
    await page.goto(`${server.url}/console/`);
    await page.locator('input[name=access-key]').fill(`${account}ADMIN`);
    await page.locator('input[name=secret]').fill('test');
    await page.locator('input[name=region]').fill(region);
    await page.waitForLoadState('networkidle'); // who types is slower
    await page.locator('button[type=submit]').click();
    await page.waitForFunction(() => 'filled' in window.kagimoriSeen);
    return await page.evaluate(() => {
      const { form, frame, row, filled, submit } = window.kagimoriSeen;
      const all = performance.getEntriesByType('resource');
      const [before, typing, after] = [all.filter((r) => r.startTime < form), all.filter((r) => r.startTime >= form && r.startTime < submit), all.filter((r) => r.startTime >= submit)];
      const size = (list) => list.reduce((sum, r) => sum + r.encodedBodySize, 0) / 1024;
      return {
        'page answered': performance.getEntriesByType('navigation')[0].responseEnd,
        'scripts and styles there': Math.max(...before.filter((r) => /\.(js|css)$/.test(r.name) && r.responseEnd < form).map((r) => r.responseEnd)),
        'first paint': performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN,
        'form to sign in': form,
        'signed in: frame': frame - submit,
        'signed in: rows': row - submit,
        'signed in: rows filled': filled - submit,
        'requests before the form': before.length,
        'KB before the form': size(before),
        'requests until the button': typing.length,
        'KB until the button': size(typing),
        'requests after it': after.length,
        'KB after it': size(after),
      };
    });
  } finally {
    await browser.stop();
  }
}

const runs = [];
for (let i = 0; i < times; i++) runs.push(await once());
for (const what of Object.keys(runs[0])) {
  const sorted = runs.map((r) => r[what]).sort((a, b) => a - b);
  console.log(`${what.padEnd(26)} median ${sorted[Math.floor(times / 2)].toFixed(0).padStart(5)}   ${sorted[0].toFixed(0)} to ${sorted.at(-1).toFixed(0)}`);
}
await server.stop();
