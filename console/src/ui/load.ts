import { useCallback, useEffect, useState } from 'react';

export type Loaded<T> = { data?: T; error?: unknown; loading: boolean; reload: () => void };

// useLoad runs fn now and whenever deps change; of answers that cross, the last asked for counts.
export function useLoad<T>(fn: () => Promise<T>, deps: unknown[]): Loaded<T> {
  const [state, set] = useState<{ data?: T; error?: unknown; loading: boolean }>({ loading: true });
  const [round, again] = useState(0);
  useEffect(() => {
    let stale = false;
    set((s) => ({ ...s, error: undefined, loading: true }));
    fn().then(
      (data) => !stale && set({ data, loading: false }),
      (error) => !stale && set({ error, loading: false }),
    );
    return () => {
      stale = true;
    };
    // The caller says what the answer depends on.
  }, [...deps, round]);
  return { ...state, reload: useCallback(() => again((n) => n + 1), []) };
}

// useAct runs something that a person asked for and keeps its error to show.
export function useAct() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const act = useCallback(async (fn: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    try {
      await fn();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  }, []);
  return { busy, error, act };
}
