import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import type { KeyMetadata, MultiRegionKey } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useAct } from '../ui/load';
import { Dialog } from '../ui/Dialog';
import { Problem } from '../ui/Problem';

// Replicas are the related keys of a multi-Region key. Its primary is replicated to more Regions, and one
// of its replicas can be made the primary in its place.
export function Replicas({ meta, onChanged }: { meta: KeyMetadata; onChanged: () => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [region, setRegion] = useState('');
  const [moving, setMoving] = useState(false);
  const [done, setDone] = useState<string>();
  const conf = meta.MultiRegionConfiguration;
  const primary = conf?.MultiRegionKeyType === 'PRIMARY';
  const replicas = conf?.ReplicaKeys ?? [];
  const rows: (MultiRegionKey & { primary?: boolean })[] = [...(conf?.PrimaryKey ? [{ ...conf.PrimaryKey, primary: true }] : []), ...replicas];
  const replicate = () =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.ReplicateKeyCommand({ KeyId: meta.Arn, ReplicaRegion: region.trim() }));
      setRegion('');
      setDone(t.replicated);
      onChanged();
    });
  return (
    <SpaceBetween size="m">
      {done && <Alert type="success" dismissible dismissAriaLabel={t.close} onDismiss={() => setDone(undefined)}>{done}</Alert>}
      <Problem error={error} />
      <Table
        items={rows}
        trackBy="Arn"
        empty={t.none}
        wrapLines
        ariaLabels={{ tableLabel: t.replicasTab }}
        header={
          <Header
            variant="h2"
            description={t.replicasLead}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={t.refresh} onClick={onChanged} />
                {primary && <Button disabled={!replicas.length} onClick={() => setMoving(true)} data-testid="move-primary">{t.movePrimary}</Button>}
              </SpaceBetween>
            }
          >
            {t.replicasTab}
          </Header>
        }
        columnDefinitions={[
          { id: 'region', header: t.region, isRowHeader: true, cell: (k) => k.Region },
          { id: 'type', header: t.rotationType, cell: (k) => (k.primary ? t.primaryKey : t.replicaKey) },
          { id: 'arn', header: t.arn, cell: (k) => <Box variant="code">{k.Arn}</Box> },
        ]}
        footer={
          primary && (
            <SpaceBetween direction="horizontal" size="xs">
              <Input ariaLabel={t.replicaRegion} placeholder={t.replicaRegion} value={region} spellcheck={false} onChange={(e) => setRegion(e.detail.value)} />
              <Button loading={busy} disabled={!region.trim()} onClick={replicate} data-testid="replicate">{t.replicate}</Button>
            </SpaceBetween>
          )
        }
      />
      {moving && (
        <Move
          meta={meta}
          regions={replicas.map((r) => r.Region!)}
          onDone={(told) => {
            setMoving(false);
            if (!told) return;
            setDone(told);
            onChanged();
          }}
        />
      )}
    </SpaceBetween>
  );
}

// Move makes a replica the primary key.
function Move({ meta, regions, onDone }: { meta: KeyMetadata; regions: string[]; onDone: (told?: string) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [region, setRegion] = useState(regions[0]);
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.UpdatePrimaryRegionCommand({ KeyId: meta.Arn, PrimaryRegion: region }));
      onDone(t.primaryMoves(region));
    });
  return (
    <Dialog title={t.movePrimary} onClose={() => onDone()} run={run} busy={busy} error={error} id="move-primary-now">
      <Alert type="info">{t.movePrimaryLead}</Alert>
      <FormField label={t.newPrimary}>
        <Select data-testid="new-primary" selectedOption={{ value: region, label: region }} options={regions.map((r) => ({ value: r, label: r }))} onChange={(e) => setRegion(e.detail.selectedOption.value!)} />
      </FormField>
    </Dialog>
  );
}
