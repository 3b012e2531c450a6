import { lazily } from '../ui/lazily';

// The screens, which are fetched when they are needed, and not with the form to sign in.
export const Keys = lazily(() => import('../keys/Keys'));
export const Key = lazily(() => import('../keys/Key'));
export const CreateKey = lazily(() => import('../keys/CreateKey'));
export const Stores = lazily(() => import('../stores/Stores'));
export const Groups = lazily(() => import('../groups/Groups'));
export const Group = lazily(() => import('../groups/Group'));
export const Explanation = lazily(() => import('../explain/Explanation'));
export const Check = lazily(() => import('../check/Check'));
export const Audit = lazily(() => import('../audit/Audit'));

// idle fetches as soon as the browser has nothing else to do. What cannot be fetched then is fetched again when it
// is needed.
function idle(...all: (() => Promise<unknown>)[]): void {
  const start = () => all.forEach((fetch) => void fetch().catch(() => undefined));
  if ('requestIdleCallback' in window) requestIdleCallback(start, { timeout: 1000 });
  else setTimeout(start);
}

const lists = { stores: Stores, groups: Groups, check: Check, audit: Audit };

// fetchFirst fetches what signing in and the screen at a place need first, and what is around the screen, while
// somebody signs in.
export function fetchFirst([name, id]: string[], around: () => Promise<unknown>): void {
  const screen = lists[name as keyof typeof lists] ?? (id ? Key : Keys);
  idle(around, screen.fetch, () => import('@aws-sdk/client-sts'), () => import('@aws-sdk/client-kms'));
}

// fetchNext fetches what most who see a list look at next.
export const fetchNext = () => idle(Key.fetch);
