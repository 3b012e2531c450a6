import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import ExpandableSection from '@cloudscape-design/components/expandable-section';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { compareKeyPolicies, type AccessChange } from '../aws/kagimori';
import { useAct, useLoad } from '../ui/load';
import { Diff } from '../ui/Diff';
import { usePages } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { Impact } from './Impact';

const colours = { GAINS: 'success', WIDER: 'success', LOSES: 'warning', TIGHTER: 'warning', OTHER: 'info' } as const;

// Changes says in words what access a new policy changes.
export function Changes({ changes }: { changes: AccessChange[] }) {
  const { t } = useWords();
  const { items, pager } = usePages(changes, 50);
  if (changes.length === 0) return <Box>{t.noChange}</Box>;
  return (
    <>
    <ul className="kg-list kg-told" data-testid="changes">
      {items.map((c, i) => (
        <li key={i}>
          <StatusIndicator type={colours[c.Type]} wrapText>{t[c.Type](c.Principal, c.Actions.join(', '))}</StatusIndicator>
          <Box variant="small" display="block" color="text-body-secondary">
            {t.formerly}: {c.Before}; {t.now}: {c.After}
          </Box>
        </li>
      ))}
    </ul>
    {pager}
    </>
  );
}

// Review shows what a new key policy changes before it is saved, by the person who is signed in. The
// policy must still be the one that was read: another's change meanwhile is not lost.
export function Review({ keyArn, before, after, notes = [], onDone }: { keyArn: string; before: string; after: string; notes?: string[]; onDone: (saved: boolean) => void }) {
  const { t, tag } = useWords();
  const s = useSession();
  const { busy, error: failed, act } = useAct();
  const { data, error, loading } = useLoad(async () => {
    const { Changes: changes } = await compareKeyPolicies(s, before, after, tag, keyArn);
    return { changes };
  }, [s, tag, before, after, keyArn]);
  const save = () =>
    act(async () => {
      const { m, client } = await kms(s);
      const current = await client.send(new m.GetKeyPolicyCommand({ KeyId: keyArn }));
      if (current.Policy !== before) throw new Error(t.notSaved);
      await client.send(new m.PutKeyPolicyCommand({ KeyId: keyArn, Policy: after }));
      onDone(true);
    });
  return (
    <Modal
      visible
      size="max"
      header={t.review}
      closeAriaLabel={t.close}
      onDismiss={() => onDone(false)}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => onDone(false)}>{t.cancel}</Button>
            <Button variant="primary" loading={busy} disabled={before === after || loading} onClick={save} data-testid="save-policy">{t.save}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box>{t.reviewLead}</Box>
        {before === after && <Alert type="info">{t.textOnly}</Alert>}
        {notes.map((n) => <Alert key={n} type="info">{n}</Alert>)}
        <Box variant="h3">{t.whatChanges}</Box>
        {loading && <Spinner />}
        {data && <Changes {...data} />}
        {before !== after && (
          <>
            <Box variant="h3">{t.impactBoth}</Box>
            <Impact change={{ Type: 'REPLACE_KEY_POLICY', KeyId: keyArn, Policy: after }} />
          </>
        )}
        <Problem error={error ?? failed} />
        <ExpandableSection defaultExpanded headerText={t.difference}>
          <Diff before={before} after={after} />
        </ExpandableSection>
        <Box variant="small" color="text-body-secondary">{t.lockoutKept}</Box>
      </SpaceBetween>
    </Modal>
  );
}
