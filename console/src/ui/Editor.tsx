import { useRef } from 'react';

export type Mark = { line: number; severity: 'error' | 'warning' | 'note'; text: string };

// Editor is a text with line numbers, of which those with marks are coloured.
export function Editor({ value, onChange, label, marks = [], rows = 24 }: { value: string; onChange: (v: string) => void; label: string; marks?: Mark[]; rows?: number }) {
  const gutter = useRef<HTMLUListElement>(null);
  const lines = value.split('\n').length;
  const at = new Map<number, Mark>();
  for (const m of marks) if (!at.has(m.line) || m.severity === 'error') at.set(m.line, m);
  return (
    <div className="kg-editor">
      <ul className="kg-gutter" ref={gutter} aria-hidden="true" style={{ height: rows * 20 }}>
        {Array.from({ length: lines }, (_, i) => (
          <li key={i} className={at.has(i + 1) ? `kg-${at.get(i + 1)!.severity}` : ''} title={at.get(i + 1)?.text}>
            {i + 1}
          </li>
        ))}
      </ul>
      <textarea
        className="kg-text" aria-label={label} value={value} rows={rows} spellCheck={false} autoCapitalize="off" autoComplete="off" wrap="off"
        aria-invalid={marks.some((m) => m.severity === 'error')}
        onChange={(e) => onChange(e.target.value)}
        onScroll={(e) => {
          if (gutter.current) gutter.current.scrollTop = e.currentTarget.scrollTop;
        }}
      />
    </div>
  );
}
