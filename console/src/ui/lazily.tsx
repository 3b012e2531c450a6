import { lazy, useState, type ComponentType } from 'react';

// lazily is a part that is fetched when it is shown first, or before with fetch. What is there already is shown
// at once: of React's own lazy parts the first showing waits, and React keeps what is shown meanwhile for 300 ms.
export function lazily<P extends object>(load: () => Promise<{ default: ComponentType<P> }>) {
  let there: ComponentType<P> | undefined;
  const fetch = () => load().then((m) => ((there = m.default), m));
  const Waiting = lazy(fetch);
  const Lazily = (props: P) => {
    const [Part] = useState(() => there ?? (Waiting as ComponentType<P>)); // the same for as long as it is shown
    return <Part {...props} />;
  };
  return Object.assign(Lazily, { fetch });
}
