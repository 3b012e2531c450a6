import { useWords } from '../i18n';

// When shows a time as the language writes it.
export function When({ at }: { at?: Date | number }) {
  const { tag } = useWords();
  if (at === undefined) return <>-</>;
  const d = typeof at === 'number' ? new Date(at * 1000) : at;
  return <time dateTime={d.toISOString()}>{new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'medium' }).format(d)}</time>;
}
