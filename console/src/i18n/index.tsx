import { createContext, useContext, useEffect, useState, type ReactNode } from 'react';
import { I18nProvider } from '@cloudscape-design/components/i18n';
import { en, type Words } from './en';

export type Tag = 'en' | 'ja';
type Spoken = { tag: Tag; words: Words; messages: React.ComponentProps<typeof I18nProvider>['messages'][number] };

const Speaking = createContext<{ tag: Tag; t: Words; speak: (tag: Tag) => void }>({ tag: 'en', t: en, speak: () => {} });

const remembered = 'kagimori.language';

function first(): Tag {
  const kept = localStorage.getItem(remembered);
  return kept === 'en' || kept === 'ja' ? kept : navigator.language.startsWith('ja') ? 'ja' : 'en';
}

async function load(tag: Tag): Promise<Spoken> {
  if (tag === 'ja') {
    const [{ ja }, { default: messages }] = await Promise.all([import('./ja'), import('@cloudscape-design/components/i18n/messages/all.ja')]);
    return { tag, words: ja, messages };
  }
  return { tag, words: en, messages: (await import('@cloudscape-design/components/i18n/messages/all.en')).default };
}

// Language speaks to everything below, and remembers what was chosen.
export function Language({ children }: { children: ReactNode }) {
  const [wanted, want] = useState(first);
  const [spoken, setSpoken] = useState<Spoken>();
  useEffect(() => {
    let stale = false;
    void load(wanted).then((s) => {
      if (stale) return;
      document.documentElement.lang = s.tag;
      setSpoken(s);
    });
    return () => {
      stale = true;
    };
  }, [wanted]);
  if (!spoken) return null;
  const speak = (tag: Tag) => {
    localStorage.setItem(remembered, tag);
    want(tag);
  };
  return (
    <I18nProvider locale={spoken.tag} messages={[spoken.messages]}>
      <Speaking.Provider value={{ tag: spoken.tag, t: spoken.words, speak }}>{children}</Speaking.Provider>
    </I18nProvider>
  );
}

export const useWords = () => useContext(Speaking);
