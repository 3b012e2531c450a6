// The words of the console, for tests: those of both languages, and what a page shows.
import { readFile } from 'node:fs/promises';
import ts from 'typescript';

const source = (path) => readFile(new URL(path, import.meta.url), 'utf8');

// load reads a file of words. Types go, what is left is JavaScript.
async function load(path) {
  const js = ts.transpileModule(await source(path), { compilerOptions: { module: 'ESNext', target: 'ES2022' } }).outputText;
  return import(`data:text/javascript;base64,${Buffer.from(js).toString('base64')}`);
}

export const words = async () => ({ en: (await load('../src/i18n/en.ts')).en, ja: (await load('../src/i18n/ja.ts')).ja });

// flat are all words by name, of those that take arguments the functions.
export function flat(of, before = '') {
  return Object.entries(of).flatMap(([name, value]) => (typeof value === 'object' ? flat(value, `${before}${name}.`) : [[before + name, value]]));
}

const { en, ja } = await words();
const own = new Map(flat(ja));
// english are the texts that only the English console says.
const english = new Set(flat(en).filter(([name, value]) => typeof value === 'string' && value !== own.get(name)).map(([, value]) => value));

// shown are the texts of a page that people see or hear, but for documents, code and what is marked to be
// English in any language: what AWS itself says.
export const shown = (page) =>
  page.evaluate(() => {
    const out = [];
    const skip = 'pre, code, .kg-diff, .kg-suggestions, textarea, script, style, [lang=en], .kg-text, .kg-colours, [class*="awsui_code"], [class*="awsui_root_box-code"]';
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let n = walker.currentNode; n; n = walker.nextNode()) {
      const at = n.nodeType === 3 ? n.parentElement : n;
      if (!at || at.closest(skip)) continue;
      if (n.nodeType === 3) out.push(n.textContent);
      else for (const a of ['aria-label', 'placeholder', 'title', 'alt', 'aria-roledescription']) if (at.hasAttribute(a)) out.push(at.getAttribute(a));
    }
    return out.map((s) => s.trim()).filter(Boolean);
  });

// sentence is one in English: words in lower case one after the other. In a Japanese text they may be a
// command, which has fewer.
const sentence = (s) => (/[\u3040-\u30ff\u4e00-\u9fff]/.test(s) ? /(?<![\w:/.-])[a-z]{2,}(?:,? [a-z]{2,}){4,}(?![\w:/.-])/ : /(?<![\w:/.-])[a-z]{2,}(?:,? [a-z]{2,}){2,}(?![\w:/.-])/).test(s);

// unspoken are the texts of a page in Japanese that are English: words of the console, or sentences.
export async function unspoken(page) {
  const texts = await shown(page);
  return [...new Set(texts.filter((s) => english.has(s) || sentence(s)))];
}
