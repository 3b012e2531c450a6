import { useState, type ReactNode } from 'react';
import Pagination from '@cloudscape-design/components/pagination';
import { useWords } from '../i18n';

type Marker = string | undefined;

// useMarkers are the pages of a list of a server, which knows the next one by a marker only. Those that were
// visited are remembered, and can be gone to directly.
export function useMarkers() {
  const [at, set] = useState<{ markers: Marker[]; page: number }>({ markers: [undefined], page: 1 });
  return {
    page: at.page,
    known: at.markers.length,
    marker: at.markers[at.page - 1],
    first: () => set({ markers: [undefined], page: 1 }),
    // go leads to a page; next is the marker of the one after the present page.
    go: (page: number, next: Marker) =>
      set((was) => {
        if (page <= was.markers.length) return { ...was, page };
        return was.page === was.markers.length && next ? { markers: [...was.markers, next], page: was.page + 1 } : was;
      }),
  };
}

// Pager leads through such a list: to the next page, and to every page that was visited.
export function Pager({ at, next }: { at: ReturnType<typeof useMarkers>; next: Marker }) {
  const more = at.page === at.known && Boolean(next);
  return <Pages page={at.page} pages={at.known + (more ? 1 : 0)} open={more} onPage={(page) => at.go(page, next)} />;
}

// usePages cuts a list that is here as a whole into pages, so that a table never draws more. pager is
// undefined where one page is enough.
export function usePages<T>(items: readonly T[], size: number): { items: readonly T[]; pager: ReactNode } {
  const [page, setPage] = useState(1);
  const pages = Math.max(1, Math.ceil(items.length / size));
  const at = Math.min(page, pages);
  return {
    items: pages > 1 ? items.slice((at - 1) * size, at * size) : items,
    pager: pages > 1 ? <Pages page={at} pages={pages} onPage={setPage} /> : undefined,
  };
}

function Pages({ page, pages, open, onPage }: { page: number; pages: number; open?: boolean; onPage: (page: number) => void }) {
  const { t } = useWords();
  return (
    <Pagination
      currentPageIndex={page} pagesCount={pages} openEnd={open} onChange={(e) => onPage(e.detail.currentPageIndex)}
      ariaLabels={{ nextPageLabel: t.next, previousPageLabel: t.previous, pageLabel: (n) => `${t.page} ${n}` }}
    />
  );
}
