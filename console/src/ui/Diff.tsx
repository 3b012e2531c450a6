import { useWords } from '../i18n';

type Row = { left?: string; right?: string; same: boolean };

// rows pairs the lines of two texts by their longest common subsequence.
export function rows(before: string, after: string): Row[] {
  const a = before.split('\n');
  const b = after.split('\n');
  const n = a.length;
  const m = b.length;
  const lcs = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
  for (let i = n - 1; i >= 0; i--) for (let j = m - 1; j >= 0; j--) lcs[i][j] = a[i] === b[j] ? lcs[i + 1][j + 1] + 1 : Math.max(lcs[i + 1][j], lcs[i][j + 1]);
  const out: Row[] = [];
  let i = 0;
  let j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && a[i] === b[j]) out.push({ left: a[i++], right: b[j++], same: true });
    else if (i < n && (j >= m || lcs[i + 1][j] >= lcs[i][j + 1])) out.push({ left: a[i++], same: false });
    else out.push({ right: b[j++], same: false });
  }
  return beside(out);
}

// beside puts removed lines next to the added ones that follow them.
function beside(list: Row[]): Row[] {
  const out: Row[] = [];
  for (let k = 0; k < list.length; ) {
    if (list[k].same) {
      out.push(list[k++]);
      continue;
    }
    const left: string[] = [];
    const right: string[] = [];
    for (; k < list.length && !list[k].same; k++) {
      if (list[k].left !== undefined) left.push(list[k].left!);
      else right.push(list[k].right!);
    }
    for (let x = 0; x < Math.max(left.length, right.length); x++) out.push({ left: left[x], right: right[x], same: false });
  }
  return out;
}

// Diff shows two texts side by side. A text that is one long line is shown indented.
export function Diff({ before, after }: { before: string; after: string }) {
  const { t } = useWords();
  const long = [before, after].some((s) => s.split('\n').some((l) => l.length > 200));
  const shown = long ? [pretty(before), pretty(after)] : [before, after];
  return (
    <div className="kg-sides" tabIndex={0} role="region" aria-label={t.difference}>
      <table className="kg-diff">
        <thead>
          <tr>
            <th scope="col">{t.before}</th>
            <th scope="col">{t.after}</th>
          </tr>
        </thead>
        <tbody>
          {rows(shown[0], shown[1]).map((r, i) => (
            <tr key={i}>
              <td className={!r.same && r.left !== undefined ? 'kg-removed' : ''}>{r.left ?? ''}</td>
              <td className={!r.same && r.right !== undefined ? 'kg-added' : ''}>{r.right ?? ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// pretty indents a document for reading; what is no JSON stays as it is.
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
