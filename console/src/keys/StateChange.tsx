import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useAct } from '../ui/load';
import { Problem } from '../ui/Problem';
import { Impact } from './Impact';

export type Change = 'enable' | 'disable' | 'schedule' | 'cancel';

// StateChange asks once more, and then changes the state of a key.
export function StateChange({ meta, change, onDone }: { meta: KeyMetadata; change: Change; onDone: (changed: boolean) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [days, setDays] = useState('30');
  const title = { enable: t.enable, disable: t.disable, schedule: t.scheduleDeletion, cancel: t.cancelDeletion }[change];
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      const KeyId = meta.KeyId;
      if (change === 'enable') await client.send(new m.EnableKeyCommand({ KeyId }));
      else if (change === 'disable') await client.send(new m.DisableKeyCommand({ KeyId }));
      else if (change === 'cancel') await client.send(new m.CancelKeyDeletionCommand({ KeyId }));
      else await client.send(new m.ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: Number(days) }));
      onDone(true);
    });
  return (
    <Modal
      visible
      header={title}
      closeAriaLabel={t.close}
      onDismiss={() => onDone(false)}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => onDone(false)}>{t.cancel}</Button>
            <Button variant="primary" loading={busy} onClick={run} data-testid="state-now">{title}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box variant="code">{meta.Arn}</Box>
        {change === 'disable' && <Alert type="warning">{t.confirmDisable}</Alert>}
        {change === 'schedule' && (
          <FormField label={t.waiting} description={t.waitingHint}>
            <Input type="number" value={days} onChange={(e) => setDays(e.detail.value)} />
          </FormField>
        )}
        {(change === 'disable' || change === 'schedule') && (
          <>
            <Box variant="h3">{t.impactTitle}</Box>
            <Impact change={{ Type: change === 'disable' ? 'DISABLE_KEY' : 'SCHEDULE_KEY_DELETION', KeyId: meta.Arn! }} />
          </>
        )}
        <Problem error={error} />
      </SpaceBetween>
    </Modal>
  );
}
