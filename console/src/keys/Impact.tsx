import { useState } from 'react';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import { useWords } from '../i18n';
import type { Words } from '../i18n/en';
import { useSession } from '../aws/session';
import { predictImpact, type Effect, type ImpactChange } from '../aws/kagimori';
import { useLoad } from '../ui/load';
import { usePages } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { few } from './few';

const shownAtFirst = 10; // of what stops at one moment

// Impact says what stops working, and when, if a change is made, and what starts to: as the service predicts it. A key's
// deletion or a policy is predicted before it is asked for, so nothing here changes anything.
export function Impact({ change }: { change: ImpactChange }) {
  const { t, tag } = useWords();
  const s = useSession();
  const { data, error, loading } = useLoad(() => predictImpact(s, change, tag), [s, tag, JSON.stringify(change)]);
  if (error) return <Problem error={error} />;
  if (loading || !data) return <Spinner />;
  const starts = data.Starts ?? [];
  const abroad = (data.Accounts ?? []).filter((a) => a !== s.account);
  const moments = [['NOW', t.impactNow], ['HOST_RESTART', t.impactHost], ['RESTART', t.impactRestart], ['LAUNCH', t.impactLaunch]] as const;
  return (
    <div data-testid="impact">
      <SpaceBetween size="s">
        {starts.length > 0 && <KeyValuePairs items={[{ label: `${t.impactStarts} (${starts.length})`, value: <Those effects={starts} name={t.impactStarts} /> }]} />}
        {data.Effects.length === 0 && <Box>{t.impactNone}</Box>}
        <KeyValuePairs
          items={moments.flatMap(([when, label]) => {
            const those = data.Effects.filter((e) => e.When === when);
            const all = (data.Totals ?? []).filter((x) => x.When === when).reduce((n, x) => n + x.Count, 0);
            return those.length ? [{ label: `${label} (${Math.max(all, those.length)})`, value: <Those key={when} effects={those} name={label} /> }] : [];
          })}
        />
        {abroad.length > 0 && <Box>{t.impactAccounts(few(t, abroad))}</Box>}
        {data.Truncated && <Box variant="small">{t.impactTruncated(data.Effects.length)}</Box>}
      </SpaceBetween>
    </div>
  );
}

function Those({ effects, name }: { effects: Effect[]; name: string }) {
  const { t } = useWords();
  const [all, showAll] = useState(false);
  const left = effects.length - shownAtFirst;
  const { items, pager } = usePages(all ? effects : effects.slice(0, shownAtFirst), 100);
  return (
    <>
      <ul className="kg-list">{items.map((e, i) => <li key={i}>{told(t, e)}</li>)}</ul>
      {!all && left > 0 && <Button variant="inline-link" ariaLabel={`${t.moreOf(left)}: ${name}`} onClick={() => showAll(true)}>{t.moreOf(left)}</Button>}
      {pager}
    </>
  );
}

function told(t: Words, e: Effect): string {
  const what = e.Actions?.join(', ') || e.Refusal?.Action || e.Operation || '';
  const type = t.things[e.ResourceType as keyof Words['things']] ?? e.ResourceType;
  const of = e.PartOf && e.PartOf !== e.ResourceId ? e.PartOf : undefined;
  const id = e.Name && e.Name !== e.ResourceId ? `${e.ResourceId} (${e.Name})` : e.ResourceId;
  if (e.Outcome === 'STARTS') return t.impactWorks(type, id, of, e.Operation ?? '');
  if (e.Outcome === 'NARROWS') return t.impactNarrows(type, id, of, what);
  if (e.Outcome === 'CANNOT_TELL') return t.impactUnknown(type, id, of, e.DependsOn?.join(', '));
  return t.impactStops(type, id, of, what);
}
