import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import type { KeyMetadata, MultiRegionKey } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useAct } from '../ui/load';
import { Problem } from '../ui/Problem';

// Replicas are the related keys of a multi-Region key. Its primary is replicated to more Regions.
export function Replicas({ meta, onChanged }: { meta: KeyMetadata; onChanged: () => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [region, setRegion] = useState('');
  const [done, setDone] = useState(false);
  const conf = meta.MultiRegionConfiguration;
  const primary = conf?.MultiRegionKeyType === 'PRIMARY';
  const rows: (MultiRegionKey & { primary?: boolean })[] = [...(conf?.PrimaryKey ? [{ ...conf.PrimaryKey, primary: true }] : []), ...(conf?.ReplicaKeys ?? [])];
  const replicate = () =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.ReplicateKeyCommand({ KeyId: meta.Arn, ReplicaRegion: region.trim() }));
      setRegion('');
      setDone(true);
      onChanged();
    });
  return (
    <SpaceBetween size="m">
      {done && <Alert type="success" dismissible dismissAriaLabel={t.close} onDismiss={() => setDone(false)}>{t.replicated}</Alert>}
      <Problem error={error} />
      <Table
        items={rows}
        trackBy="Arn"
        empty={t.none}
        header={<Header variant="h2" description={t.replicasLead}>{t.replicasTab}</Header>}
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
    </SpaceBetween>
  );
}
