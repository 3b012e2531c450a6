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

type Open = { list: boolean; name?: string; value: boolean };

// placeOf is the string that the caret is in, or undefined outside of strings.
export function placeOf(text: string, caret: number): Place | undefined {
  const open: Open[] = [];
  for (let i = 0; i < caret; i++) {
    const c = text[i];
    const top = open[open.length - 1];
    if (c === '{' || c === '[') open.push({ list: c === '[', value: c === '[' });
    else if (c === '}' || c === ']') open.pop();
    else if (c === ':' && top && !top.list) top.value = true;
    else if (c === ',' && top && !top.list) top.value = false;
    else if (c === '"') {
      let end = i + 1;
      while (end < text.length && text[end] !== '"' && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1;
      if (caret > i && caret <= end) {
        const path = open.flatMap((o) => (o.list || o.name === undefined || (o === top && !o.value) ? [] : [o.name]));
        return { path, name: Boolean(top && !top.list && !top.value), from: i + 1, to: text[end] === '"' ? end : caret, typed: text.slice(i + 1, caret) };
      }
      if (top && !top.list && !top.value) top.name = text.slice(i + 1, end);
      i = end;
    }
  }
  return undefined;
}
