import type { Edge, Graph, Kind, Node } from './model';

// Where things stand: who asks on the left, what is reached on the right.
const columns: Kind[][] = [['principal'], ['statement', 'policy', 'grant'], ['key'], ['volume'], ['instance'], ['group']];
const size = { width: 152, height: 36, across: 182, down: 48, top: 34, left: 8 };
const most = 30; // things drawn in a column; the table has all of them

export type Place = { node: Node; x: number; y: number; column: number; row: number };
export type Drawing = { places: Place[]; edges: { edge: Edge; path: string }[]; heads: { column: number; x: number; left: number; kinds: Kind[] }[]; width: number; height: number };

// lay gives everything a place. Within a column, things are ordered by what they are connected with
// on the left, so that few lines cross.
export function lay(g: Graph): Drawing {
  const at = new Map<string, Place>();
  const heads: Drawing['heads'] = [];
  const before = new Map<string, string[]>();
  for (const e of g.edges) if (!e.silent) before.set(e.to, [...(before.get(e.to) ?? []), e.from]);
  const used = columns.map((kinds) => g.nodes.filter((n) => kinds.includes(n.kind)));
  const tallest = Math.max(1, ...used.map((c) => Math.min(c.length, most)));
  const weigh = (n: Node) => {
    const rows = (before.get(n.id) ?? []).flatMap((f) => (at.has(f) ? [at.get(f)!.y] : []));
    return rows.length ? rows.reduce((a, r) => a + r, 0) / rows.length : 0;
  };
  let column = 0;
  for (const [i, all] of used.entries()) {
    if (!all.length) continue;
    const shown = all.map((n) => [weigh(n), n] as const).sort((a, b) => a[0] - b[0]).slice(0, most).map(([, n]) => n);
    const offset = size.top + ((tallest - shown.length) * size.down) / 2;
    for (const [row, node] of shown.entries()) at.set(node.id, { node, column, row, x: size.left + column * size.across, y: offset + row * size.down });
    heads.push({ column, x: size.left + column * size.across, left: all.length - shown.length, kinds: columns[i].filter((k) => all.some((n) => n.kind === k)) });
    column++;
  }
  const edges = g.edges.flatMap((edge) => {
    const [a, b] = [at.get(edge.from), at.get(edge.to)];
    if (!a || !b || edge.silent) return [];
    const [x1, y1, x2, y2] = [a.x + size.width, a.y + size.height / 2, b.x, b.y + size.height / 2];
    const bend = (x2 - x1) / 2;
    return [{ edge, path: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` }];
  });
  return { places: [...at.values()], edges, heads, width: size.left * 2 + (column - 1) * size.across + size.width, height: size.top + tallest * size.down + 4 };
}

export const box = size;

// beside is where an arrow key leads from a place.
export function beside(places: Place[], from: Place, key: string): Place | undefined {
  const across = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (across) {
    const column = places.filter((p) => p.column === from.column + across);
    return column.sort((a, b) => Math.abs(a.y - from.y) - Math.abs(b.y - from.y))[0];
  }
  const column = places.filter((p) => p.column === from.column);
  switch (key) {
    case 'ArrowUp':
      return column.find((p) => p.row === from.row - 1);
    case 'ArrowDown':
      return column.find((p) => p.row === from.row + 1);
    case 'Home':
      return column.find((p) => p.row === 0);
    case 'End':
      return column.find((p) => p.row === column.length - 1);
  }
  return undefined;
}
