import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import type { Fix } from '../aws/kagimori';
import { useAct } from '../ui/load';
import { Problem } from '../ui/Problem';
import { pretty } from '../ui/Diff';
import { Review } from '../keys/Review';
import { Snippet } from '../keys/ForAutoScaling';

// sets are the alternatives, each of all fixes that belong together, the smallest first.
function sets(fixes: Fix[]): Fix[][] {
  const out = new Map<number, Fix[]>();
  for (const f of fixes) out.set(f.Set, [...(out.get(f.Set) ?? []), f]);
  const order = ['correct', 'narrow', 'least', 'documented'];
  const rank = (s: Fix[]) => {
    const at = order.indexOf(s[0].Name ?? '');
    return at < 0 ? order.length : at;
  };
  return [...out.values()].sort((a, b) => rank(a) - rank(b));
}

// adds reports whether a text is another with something added at one place.
export function adds(before: string, after: string): boolean {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let end = 0;
  while (end < before.length - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return after.length > before.length && start + end === before.length;
}

// Fixes are the changes that would allow what was denied.
export function Fixes({ fixes }: { fixes: Fix[] }) {
  const { t } = useWords();
  if (fixes.length === 0) return <Box>{t.noFix}</Box>;
  return (
    <SpaceBetween size="m">
      {sets(fixes).map((set, i) => (
        <OneSet key={set[0].Set} set={set} title={i === 0 ? t.fix : set[0].Name === 'documented' ? t.documented : t.otherFix} first={i === 0} />
      ))}
    </SpaceBetween>
  );
}

// OneSet is one alternative. If all of it is in one key policy that the reader owns, it can be
// applied: the last fix carries the policy with everything added.
function OneSet({ set, title, first }: { set: Fix[]; title: string; first: boolean }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [draft, setDraft] = useState<{ key: string; before: string; after: string }>();
  const [applied, setApplied] = useState(false);
  const last = set[set.length - 1];
  const target = set.every((f) => f.Patched && f.Target === last.Target) ? last : undefined;
  const review = () =>
    act(async () => {
      const { m, client } = await kms(s);
      // The fix was made for the policy as it was: all of it must still be there, before and after what is added.
      const before = (await client.send(new m.GetKeyPolicyCommand({ KeyId: target!.Target }))).Policy!;
      if (!adds(before, target!.Patched!)) throw new Error(t.notSaved);
      setDraft({ key: target!.Target!, before, after: target!.Patched! });
    });
  const opens = [...new Set(set.flatMap((f) => f.Opens ?? []))];
  return (
    <Container
      header={
        <Header
          variant="h3"
          description={target && t.applyHint}
          actions={target && !applied && <Button variant={first ? 'primary' : 'normal'} loading={busy} onClick={review} data-testid={`apply-${last.Name ?? 'other'}`}>{t.apply}</Button>}
        >
          {title}
        </Header>
      }
    >
      <SpaceBetween size="s">
        {applied && <Alert type="success">{t.applied}</Alert>}
        <Problem error={error} />
        {set.map((f, i) => (
          <SpaceBetween key={i} size="xxs">
            <Box>{f.Summary}</Box>
            {f.Document && <pre className="kg-pre">{pretty(f.Document)}</pre>}
            {f.Command && <Snippet text={f.Command} />}
            {f.Run && <Box variant="small" color="text-body-secondary">{f.Run}</Box>}
          </SpaceBetween>
        ))}
        {opens.length > 0 && (
          <Box>
            {t.opens}
            <ul>{opens.map((o) => <li key={o}>{o}</li>)}</ul>
          </Box>
        )}
      </SpaceBetween>
      {draft && (
        <Review
          keyArn={draft.key}
          before={draft.before}
          after={draft.after}
          onDone={(saved) => {
            setDraft(undefined);
            if (saved) setApplied(true);
          }}
        />
      )}
    </Container>
  );
}
