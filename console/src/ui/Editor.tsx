import { useEffect, useId, useMemo, useRef, useState } from 'react';
import LiveRegion from '@cloudscape-design/components/live-region';
import { useWords } from '../i18n';
import { tokens } from './tokens';

export type Mark = { line: number; severity: 'error' | 'warning' | 'note'; text: string };
// Suggestions replace the text between two places. What is inserted may be more than the label says.
export type Suggestion = { label: string; text: string };
export type Suggestions = { items: Suggestion[]; from: number; to: number };

const lineHeight = 20;
const padding = 8;
const listed = 8; // suggestions that are seen at once

type Props = {
  value: string; onChange: (v: string) => void; label: string; marks?: Mark[]; rows?: number; readOnly?: boolean;
  suggest?: (text: string, caret: number) => Suggestions | undefined;
};
type Opened = Suggestions & { at: number; x: number; y: number };

// Editor is a JSON text with line numbers, of which those with marks are coloured. The text is a
// <textarea>, as assistive technology knows it, over a coloured copy. Suggestions come while a string is
// typed, and with Ctrl+Space; arrow keys choose, Enter and Tab take, Escape closes.
export function Editor({ value, onChange, label, marks = [], rows = 24, readOnly = false, suggest }: Props) {
  const { t } = useWords();
  const gutter = useRef<HTMLUListElement>(null);
  const copy = useRef<HTMLPreElement>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const probe = useRef<HTMLSpanElement>(null);
  const [open, setOpen] = useState<Opened>();
  const id = useId();
  const parts = useMemo(() => tokens(value), [value]);
  const lines = value.split('\n').length;
  const at = new Map<number, Mark>();
  for (const m of marks) if (!at.has(m.line) || m.severity === 'error') at.set(m.line, m);
  const close = () => setOpen(undefined);
  const look = (text: string) => {
    const el = area.current!;
    const found = el.selectionStart === el.selectionEnd ? suggest?.(text, el.selectionStart) : undefined;
    if (!found) return close();
    const before = text.slice(0, found.from).split('\n');
    const width = probe.current!.getBoundingClientRect().width / 10;
    const x = padding + before[before.length - 1].length * width - el.scrollLeft;
    const y = padding + before.length * lineHeight - el.scrollTop;
    const [wide, high] = [Math.max(...found.items.map((i) => i.label.length)) * width + 40, Math.min(found.items.length, listed) * 24 + 4];
    const above = y + high > el.clientHeight && y - lineHeight - high >= 0; // where there is room for it
    setOpen({ ...found, at: 0, x: Math.max(0, Math.min(x, el.clientWidth - wide)), y: above ? y - lineHeight - high : y });
  };
  const take = (o: Opened, item: Suggestion) => {
    const el = area.current!;
    el.focus();
    el.setSelectionRange(o.from, o.to);
    // So it can be undone like what is typed.
    if (!document.execCommand('insertText', false, item.text)) onChange(value.slice(0, o.from) + item.text + value.slice(o.to));
    close();
  };
  const press = (e: React.KeyboardEvent) => {
    if (!open) {
      if (e.key === ' ' && e.ctrlKey && !readOnly) {
        e.preventDefault();
        look(value);
      }
      return;
    }
    const n = open.items.length;
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') setOpen({ ...open, at: (open.at + (e.key === 'ArrowDown' ? 1 : n - 1)) % n });
    else if (e.key === 'Enter' || (e.key === 'Tab' && !e.shiftKey)) take(open, open.items[open.at]);
    else if (e.key === 'Escape') close();
    else {
      if (e.key === 'ArrowLeft' || e.key === 'ArrowRight' || e.key === 'Home' || e.key === 'End') close();
      return;
    }
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    <div className="kg-editor">
      <ul className="kg-gutter" ref={gutter} aria-hidden="true" style={{ height: rows * lineHeight }}>
        {Array.from({ length: lines }, (_, i) => (
          <li key={i} className={at.has(i + 1) ? `kg-${at.get(i + 1)!.severity}` : ''} title={at.get(i + 1)?.text}>
            {i + 1}
          </li>
        ))}
      </ul>
      <div className="kg-paper">
        <span className="kg-probe" ref={probe} aria-hidden="true">0000000000</span>
        <pre className="kg-colours" ref={copy} aria-hidden="true">
          {parts.map((p, i) => (p.kind === 'plain' ? p.text : <span key={i} className={`kg-${p.kind}`}>{p.text}</span>))}
          {'\n'}
        </pre>
        <textarea
          className="kg-text" aria-label={label} ref={area} value={value} rows={rows} spellCheck={false} autoCapitalize="off" autoComplete="off" wrap="off" readOnly={readOnly}
          aria-invalid={marks.some((m) => m.severity === 'error')}
          aria-autocomplete={suggest ? 'list' : undefined} aria-controls={open ? id : undefined} aria-activedescendant={open ? `${id}-${open.at}` : undefined}
          onChange={(e) => {
            onChange(e.target.value);
            const native = e.nativeEvent as InputEvent;
            if (native.inputType === 'insertText' && (native.data?.length ?? 0) > 1) return; // a suggestion that was taken
            if (/^(insertText|deleteContent)/.test(native.inputType ?? '')) look(e.target.value);
            else close();
          }}
          onKeyDown={press}
          onBlur={close}
          onMouseDown={close}
          onScroll={(e) => {
            const { scrollTop, scrollLeft } = e.currentTarget;
            if (gutter.current) gutter.current.scrollTop = scrollTop;
            if (copy.current) [copy.current.scrollTop, copy.current.scrollLeft] = [scrollTop, scrollLeft];
          }}
        />
        {open && <List id={id} open={open} label={t.suggestions} onTake={(item) => take(open, item)} />}
        <LiveRegion hidden>{open ? t.suggested(open.items.length) : ''}</LiveRegion>
      </div>
    </div>
  );
}

function List({ id, open, label, onTake }: { id: string; open: Opened; label: string; onTake: (item: Suggestion) => void }) {
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    list.current?.children[open.at]?.scrollIntoView({ block: 'nearest' }); // its promise is no clean-up
  }, [open.at]);
  return (
    <ul className="kg-suggestions" role="listbox" id={id} aria-label={label} ref={list} style={{ left: open.x, top: open.y, maxHeight: listed * 24 }}>
      {open.items.map((item, i) => (
        <li
          key={item.label} id={`${id}-${i}`} role="option" aria-selected={i === open.at}
          onMouseDown={(e) => {
            e.preventDefault(); // the text keeps the focus
            e.stopPropagation();
            onTake(item);
          }}
        >
          {item.label}
        </li>
      ))}
    </ul>
  );
}
