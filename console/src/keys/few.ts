import type { Words } from '../i18n/en';

// most is how many names, or conditions, a row shows of many.
export const most = 8;

// few are the first of many names; more are counted and not among them.
export function few(t: Words, names: string[], more = 0): string {
  const there = names.filter(Boolean);
  const left = Math.max(0, there.length - most) + more;
  return [...there.slice(0, most), ...(left ? [t.moreOf(left)] : [])].join(', ');
}

// decider names what decided, by the service's name of the kind of policy.
export const decider = (t: Words, type?: string): string => t.policyTypes[type as keyof Words['policyTypes']] ?? type ?? '';
