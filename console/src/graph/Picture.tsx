import { useMemo, useRef, useState } from 'react';
import { useWords } from '../i18n';
import type { Words } from '../i18n/en';
import { around, type Graph, type Node } from './model';
import { beside, box, lay, type Drawing, type Place } from './layout';

const shown = 20; // characters of a name
const line = 15; // px of a head's line
const narrowest = 900; // px: with less, the picture scrolls

// cut shortens a name in its middle, where names of roles differ least.
function cut(name: string): string {
  return name.length <= shown ? name : `${name.slice(0, shown - 9)}…${name.slice(-8)}`;
}

// lines is a column's head, in as many lines as its width asks for.
function lines(t: Words, h: Drawing['heads'][number]): string[] {
  const wide = (s: string) => [...s].reduce((n, c) => n + (c > '\u2e7f' ? 12 : 7), 0);
  const out: string[] = [];
  for (const [i, k] of h.kinds.entries()) {
    const word = t.kinds[k] + (i < h.kinds.length - 1 ? t.comma : '');
    const last = out[out.length - 1];
    if (last && wide(last + word) <= box.across - 12) out[out.length - 1] = last + word;
    else out.push(word);
  }
  return h.left > 0 ? [...out, `(${t.notDrawn(h.left)})`] : out;
}

// said is what a screen reader says of a node: what is seen, and the whole name.
function said(t: Words, n: Node): string {
  const seen = cut(n.name);
  return [t.kinds[n.kind], seen, seen === n.name ? '' : n.name, n.deny ? t.denies : '', n.conditional ? t.onConditions : ''].filter(Boolean).join(', ');
}

// Picture draws the graph. One tab stop leads into it, the arrow keys through it, Enter chooses.
export function Picture({ graph, chosen, onChoose }: { graph: Graph; chosen?: string; onChoose: (id?: string) => void }) {
  const { t } = useWords();
  const drawing = useMemo(() => lay(graph), [graph]);
  const near = useMemo(() => (chosen ? around(graph, chosen) : undefined), [graph, chosen]);
  const heads = drawing.heads.map((h) => ({ ...h, lines: lines(t, h) }));
  const above = (Math.max(1, ...heads.map((h) => h.lines.length)) - 1) * line; // one fits
  const [at, setAt] = useState<string>();
  const svg = useRef<SVGSVGElement>(null);
  const stop = drawing.places.some((p) => p.node.id === at) ? at : drawing.places[0]?.node.id;
  const press = (e: React.KeyboardEvent, place: Place) => {
    if (e.key === 'Enter' || e.key === ' ') {
      e.preventDefault();
      onChoose(place.node.id === chosen ? undefined : place.node.id);
      return;
    }
    if (e.key === 'Escape') return onChoose(undefined);
    const next = beside(drawing.places, place, e.key);
    if (!next) return;
    e.preventDefault();
    setAt(next.node.id);
    svg.current?.querySelector<SVGGElement>(`[data-node="${CSS.escape(next.node.id)}"]`)?.focus();
  };
  return (
    <div className="kg-picture" role="region" aria-label={t.graphTab} tabIndex={0}>
      <svg ref={svg} style={{ maxWidth: drawing.width, minWidth: Math.min(drawing.width, narrowest) }} viewBox={`0 ${-above} ${drawing.width} ${drawing.height + above}`} role="group" aria-label={t.graphKeys}>
        {heads.map((h) => (
          <text key={h.column} className="kg-head">
            {h.lines.map((text, i) => <tspan key={i} x={h.x} y={16 - (h.lines.length - 1 - i) * line}>{text} </tspan>)}
          </text>
        ))}
        <g aria-hidden="true">
          {drawing.edges.map(({ edge, path }) => {
            const dim = near && !(near.has(edge.from) && near.has(edge.to));
            return <path key={edge.from + edge.to} d={path} className={`kg-edge${edge.deny ? ' kg-denies' : ''}${edge.conditional ? ' kg-if' : ''}${dim ? ' kg-dim' : ''}`} />;
          })}
        </g>
        {drawing.places.map((p) => (
          <g
            key={p.node.id} data-node={p.node.id} transform={`translate(${p.x} ${p.y})`} role="button" tabIndex={p.node.id === stop ? 0 : -1} aria-pressed={p.node.id === chosen}
            aria-label={said(t, p.node)} className={`kg-node kg-${p.node.kind}${p.node.deny ? ' kg-denies' : ''}${near && !near.has(p.node.id) ? ' kg-dim' : ''}`}
            onClick={() => onChoose(p.node.id === chosen ? undefined : p.node.id)} onKeyDown={(e) => press(e, p)} onFocus={() => setAt(p.node.id)}
          >
            <title>{p.node.name}</title>
            <rect width={box.width} height={box.height} rx={6} />
            <text x={10} y={box.height / 2 + 4} aria-hidden="true">{cut(p.node.name)}</text>
          </g>
        ))}
      </svg>
    </div>
  );
}
