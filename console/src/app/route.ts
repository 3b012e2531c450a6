import { useSyncExternalStore } from 'react';

// The place in the console is the URL's fragment, so that a reload needs no server for it.
function parts(): string {
  return location.hash.replace(/^#\/?/, '');
}

function subscribe(changed: () => void): () => void {
  addEventListener('hashchange', changed);
  return () => removeEventListener('hashchange', changed);
}

export function useRoute(): string[] {
  const text = useSyncExternalStore(subscribe, parts);
  return text.split('/').map(decodeURIComponent);
}

export function href(...names: string[]): string {
  return '#/' + names.map(encodeURIComponent).join('/');
}

export function go(...names: string[]): void {
  location.hash = href(...names);
}
