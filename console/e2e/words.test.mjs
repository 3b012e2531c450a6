// Every word of the console is there in both languages, and no screen says one that is not. No browser is needed.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import ts from 'typescript';
import { flat, words } from './words.mjs';

const src = fileURLToPath(new URL('../src', import.meta.url));

async function sources() {
  const names = (await readdir(src, { recursive: true })).filter((n) => /\.tsx?$/.test(n) && !n.startsWith('i18n'));
  return Promise.all(names.map(async (name) => ({ name, text: await readFile(join(src, name), 'utf8') })));
}

// Properties whose text people read or hear.
const visible = new Set([
  'label', 'text', 'title', 'header', 'headerText', 'description', 'placeholder', 'ariaLabel', 'errorText', 'loadingText', 'empty', 'constraintText', 'buttonText', 'content', 'info', 'footer', 'alt',
  'copyButtonText', 'copySuccessText', 'copyErrorText', 'closeAriaLabel', 'dismissAriaLabel', 'clearAriaLabel', 'filteringPlaceholder', 'filteringAriaLabel', 'tableLabel', 'selectionGroupLabel', 'aria-label', 'counter', 'value',
]);
// What is the same in every language: names, and examples of what is typed.
const names = /^(kagimori|English|日本語|JSON|arn:.*|https:\/\/.*|com\.amazonaws\..*|[\d\s,.:TZ()%-]*|\/example\/prefix|aws:ebs:id=.*)$/;

// spoken are the texts of a source that are shown as they stand.
function spoken({ name, text }) {
  const out = [];
  const file = ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true, name.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS);
  const literal = (n) => ts.isStringLiteral(n) || ts.isNoSubstitutionTemplateLiteral(n);
  const property = (n) => (ts.isJsxAttribute(n) || ts.isPropertyAssignment(n) ? n.name.getText() : undefined);
  const look = (n) => {
    if (ts.isJsxText(n) && /\p{L}{2,}/u.test(n.text)) out.push(n.text.trim());
    const inside = property(n.parent ?? n);
    if (literal(n) && inside && visible.has(inside) && (inside === 'value' ? /[a-z] [a-z]/ : /[a-z ]/).test(n.text) && /[A-Z ]/.test(n.text) && /\p{L}{2,}/u.test(n.text)) out.push(n.text);
    // {condition && 'Text'} and {a ? 'Text' : ...} between tags
    if (literal(n) && /^[A-Z].* /.test(n.text) && ts.isJsxExpression(n.parent?.parent ?? n)) out.push(n.text);
    ts.forEachChild(n, look);
  };
  look(file);
  return out.filter((s) => !names.test(s)).map((s) => `${name}: ${s}`);
}

test('no source shows a text that is not in the words of both languages', async () => {
  assert.deepEqual((await sources()).flatMap(spoken), []);
});

test('a text between tags, in a property or in an expression is found', () => {
  const bad = `const a = <Box header="Some header" items={[{ label: 'A label' }]}>Some text {on && 'Another text'}</Box>;`;
  assert.deepEqual(spoken({ name: 'x.tsx', text: bad }).sort(), ['x.tsx: A label', 'x.tsx: Another text', 'x.tsx: Some header', 'x.tsx: Some text']);
});

test('every word has its Japanese, and is used', async () => {
  const { en, ja } = await words();
  const [english, japanese] = [new Map(flat(en)), new Map(flat(ja))];
  assert.deepEqual([...japanese.keys()].sort(), [...english.keys()].sort());
  const same = new Set(['services', 'arn', 'facts.arn', 'roleDefault', 'origins.AWS_KMS', 'managers.AWS']); // names
  for (const [name, value] of english) {
    const own = japanese.get(name);
    assert.equal(typeof own, typeof value, name);
    if (typeof value === 'function') {
      const say = (f) => f(...Array.from({ length: f.length }, () => ['x'])); // a list has what texts and numbers need here
      assert.match(say(own), /[\u3040-\u30ff\u4e00-\u9fff]/, name);
      assert.notEqual(say(own), say(value), name);
    } else if (!same.has(name)) {
      assert.match(own, /[\u3001\u3040-\u30ff\u4e00-\u9fff]/, `${name}: ${own}`);
    }
  }
  const all = (await sources()).map((s) => s.text).join('\n');
  const states = /^[A-Z]/; // of keys and activities: said by the name that the API gives them
  const unused = [...new Set([...english.keys()].map((n) => n.split('.')[0]))].filter((n) => !states.test(n) && !new RegExp(`\\bt(\\.|\\[['"])${n}\\b`).test(all) && !new RegExp(`['"]${n}['"]`).test(all));
  assert.deepEqual(unused, []);
});

test('Japanese keeps to the terms of the guides', async () => {
  const { ja } = await words();
  for (const [name, value] of flat(ja)) {
    const text = typeof value === 'function' ? value.toString() : value;
    assert.doesNotMatch(text, /カスタマー管理|サービスリンクロール|明示的拒否|復号化|助成金|権限付与|キーの状態|ユーザ[^ー]/, name);
  }
});
