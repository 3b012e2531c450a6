// Token is a part of a JSON text, coloured by what it is.
export type Token = { text: string; kind: 'name' | 'string' | 'number' | 'word' | 'plain' };

const pattern = /"(?:[^"\\\n]|\\.)*"?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b/g;

// tokens cuts a text. It need not be whole: an open string ends with its line.
export function tokens(text: string): Token[] {
  const out: Token[] = [];
  let at = 0;
  for (const m of text.matchAll(pattern)) {
    if (m.index > at) out.push({ text: text.slice(at, m.index), kind: 'plain' });
    at = m.index + m[0].length;
    const first = m[0][0];
    out.push({ text: m[0], kind: first === '"' ? (/^\s*:/.test(text.slice(at, at + 40)) ? 'name' : 'string') : /[\d-]/.test(first) ? 'number' : 'word' });
  }
  if (at < text.length) out.push({ text: text.slice(at), kind: 'plain' });
  return out;
}

// Place is where a caret is in a JSON text: the names that lead there, and the string it is in.
export type Place = { path: string[]; name: boolean; from: number; to: number; typed: string };

// A Gap is a place between the members of a list: where something can be inserted, with the comma that it needs
// before or after it, and the indent of the list's members.
export type Gap = { path: string[]; before: boolean; after: boolean; indent: string };

type Open = { at: number; list: boolean; name?: string; value: boolean };

// walk reads a text up to a caret: the lists and objects that are open there, and the string it is in, if it is
// in one.
function walk(text: string, caret: number): { open: Open[]; string?: { from: number; end: number } } {
  const open: Open[] = [];
  for (let i = 0; i < caret; i++) {
    const c = text[i];
    const top = open[open.length - 1];
    if (c === '{' || c === '[') open.push({ at: i, list: c === '[', value: c === '[' });
    else if (c === '}' || c === ']') open.pop();
    else if (c === ':' && top && !top.list) top.value = true;
    else if (c === ',' && top && !top.list) top.value = false;
    else if (c === '"') {
      let end = i + 1;
      while (end < text.length && text[end] !== '"' && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1;
      if (caret > i && caret <= end) return { open, string: { from: i + 1, end } };
      if (top && !top.list && !top.value) top.name = text.slice(i + 1, end);
      i = end;
    }
  }
  return { open };
}

// placeOf is the string that the caret is in, or undefined outside of strings.
export function placeOf(text: string, caret: number): Place | undefined {
  const { open, string } = walk(text, caret);
  if (!string) return undefined;
  const top = open[open.length - 1];
  const path = open.flatMap((o) => (o.list || o.name === undefined || (o === top && !o.value) ? [] : [o.name]));
  return { path, name: Boolean(top && !top.list && !top.value), from: string.from, to: text[string.end] === '"' ? string.end : caret, typed: text.slice(string.from, caret) };
}

// gapOf is the gap that a place is in, or undefined within a member of a list or outside of lists.
export function gapOf(text: string, at: number): Gap | undefined {
  const { open, string } = walk(text, at);
  const list = open.pop();
  if (string || !list?.list) return undefined;
  const [left, right] = [text.slice(0, at).trimEnd().at(-1)!, text.slice(at).trimStart().at(0)];
  const line = text.slice(text.lastIndexOf('\n', list.at) + 1, list.at);
  return {
    path: open.flatMap((o) => (o.list || o.name === undefined ? [] : [o.name])),
    before: left !== '[' && left !== ',', after: right !== undefined && right !== ']' && right !== ',',
    indent: `${/^\s*/.exec(line)![0]}  `,
  };
}

// fill is a text that is inserted into a gap in place of the blanks there, on lines of its own.
export function fill(gap: Gap, inserted: string): string {
  return `${gap.before ? ',' : ''}\n${inserted.replace(/^/gm, gap.indent)}${gap.after ? `,\n${gap.indent}` : `\n${gap.indent.slice(2)}`}`;
}
