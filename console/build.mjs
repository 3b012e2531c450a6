// build.mjs builds the console into internal/console/dist, where the program takes it from. Scripts and
// styles are kept compressed. What is there already and says the same keeps its bytes, so that another
// version of zlib changes nothing. With --check nothing is written, and a difference is an error.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { build } from 'vite';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', 'internal', 'console', 'dist');
const check = process.argv.includes('--check');

async function files(dir) {
  const out = new Map();
  for (const e of await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])) {
    if (!e.isFile()) continue;
    const path = join(e.parentPath, e.name);
    out.set(relative(dir, path), await readFile(path));
  }
  return out;
}

const packs = (name) => /\.(js|css|md)$/.test(name);

const made = await mkdtemp(join(tmpdir(), 'kagimori-console-'));
try {
  await build({ root: here, logLevel: 'warn', build: { outDir: made, emptyOutDir: true } });
  const wanted = new Map([...(await files(made))].map(([name, data]) => [packs(name) ? name + '.gz' : name, data]));
  const kept = await files(dist);
  const differ = [];
  for (const [name, data] of wanted) {
    const old = kept.get(name);
    kept.delete(name);
    if (old && data.equals(name.endsWith('.gz') ? gunzipSync(old) : old)) continue;
    differ.push(name);
    if (check) continue;
    await mkdir(dirname(join(dist, name)), { recursive: true });
    await writeFile(join(dist, name), name.endsWith('.gz') ? gzipSync(data, { level: 9 }) : data);
  }
  for (const name of kept.keys()) {
    differ.push(name);
    if (!check) await rm(join(dist, name));
  }
  if (check && differ.length) {
    console.error(`What is committed in internal/console/dist is not what console/ builds:\n  ${differ.sort().join('\n  ')}\nrun: make console`);
    process.exitCode = 1;
  } else {
    console.log(differ.length ? `${differ.length} files changed in internal/console/dist` : 'internal/console/dist is what console/ builds');
  }
} finally {
  await rm(made, { recursive: true, force: true });
}
