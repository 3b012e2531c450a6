import { lazy, Suspense, useState } from 'react';
import BreadcrumbGroup from '@cloudscape-design/components/breadcrumb-group';
import ButtonDropdown from '@cloudscape-design/components/button-dropdown';
import Container from '@cloudscape-design/components/container';
import CopyToClipboard from '@cloudscape-design/components/copy-to-clipboard';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import Tabs from '@cloudscape-design/components/tabs';
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { go, href } from '../app/route';
import { useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';
import { When } from '../ui/Dates';
import { State } from './Keys';
import { StateChange, type Change } from './StateChange';
import { KeyPolicy } from './KeyPolicy';
import { Grants } from './Grants';
import { Aliases } from './Aliases';
import { Rotation, Tags } from './Details';
import { Material } from './Material';
import { Replicas } from './Replicas';
import { Who } from './Who';

const Graph = lazy(() => import('../graph/Graph'));

export default function Key({ id, tab }: { id: string; tab?: string }) {
  const { t } = useWords();
  const s = useSession();
  const { data, error, loading, reload } = useLoad(async () => {
    const k = await kms(s);
    const [{ KeyMetadata: meta }, names] = await Promise.all([
      k.client.send(new k.m.DescribeKeyCommand({ KeyId: id })),
      k.client.send(new k.m.ListAliasesCommand({ KeyId: id })).then((o) => (o.Aliases ?? []).map((a) => a.AliasName!), () => []),
    ]);
    return { meta: meta!, names };
  }, [s, id]);
  if (!data) return loading ? <Spinner size="large" /> : <Problem error={error} />;
  const { meta, names } = data;
  return (
    <SpaceBetween size="m">
      <BreadcrumbGroup ariaLabel={t.menu} items={[{ text: t.keys, href: href('keys') }, { text: meta.KeyId!, href: href('keys', id) }]} />
      <Top meta={meta} name={names[0]} reload={reload} />
      <Problem error={error} />
      <Container header={<Header variant="h2">{t.general}</Header>}>
        <KeyValuePairs
          columns={3}
          items={[
            { label: t.alias, value: names.map((n) => n.replace(/^alias\//, '')).join(', ') || '-' },
            { label: t.status, value: <State state={meta.KeyState} /> },
            { label: t.created, value: <When at={meta.CreationDate} /> },
            { label: t.arn, value: <CopyToClipboard variant="inline" textToCopy={meta.Arn!} copyButtonAriaLabel={`${t.copy}: ${t.arn}`} copySuccessText={t.copied} copyErrorText={t.failedToCopy} /> },
            { label: t.description, value: meta.Description || '-' },
            { label: t.manager, value: t.managers[meta.KeyManager as keyof typeof t.managers] ?? meta.KeyManager },
            { label: t.spec, value: meta.KeySpec },
            { label: t.usage, value: t.usages[meta.KeyUsage as keyof typeof t.usages] ?? meta.KeyUsage },
            { label: t.multiRegion, value: meta.MultiRegion ? t.yes : t.no },
            { label: t.origin, value: t.origins[meta.Origin as keyof typeof t.origins] ?? meta.Origin },
            ...(meta.CustomKeyStoreId ? [{ label: t.storeId, value: meta.CustomKeyStoreId }] : []),
            ...(meta.XksKeyConfiguration ? [{ label: t.xksKey, value: meta.XksKeyConfiguration.Id }] : []),
            ...(meta.DeletionDate ? [{ label: t.deletionDate, value: <When at={meta.DeletionDate} /> }] : []),
          ]}
        />
      </Container>
      <Tabs
        activeTabId={tab ?? 'policy'}
        onChange={(e) => go('keys', id, e.detail.activeTabId)}
        tabs={[
          { id: 'policy', label: t.policyTab, content: <KeyPolicy meta={meta} /> },
          { id: 'grants', label: t.grantsTab, content: <Grants meta={meta} /> },
          { id: 'who', label: t.whoTab, content: <Who meta={meta} /> },
          { id: 'graph', label: t.graphTab, content: <Suspense fallback={<Spinner />}><Graph meta={meta} /></Suspense> },
          { id: 'rotation', label: t.rotationTab, content: <Rotation meta={meta} /> },
          { id: 'aliases', label: t.aliasesTab, content: <Aliases meta={meta} onChanged={reload} /> },
          ...(meta.Origin === 'EXTERNAL' ? [{ id: 'material', label: t.materialTab, content: <Material meta={meta} onChanged={reload} /> }] : []),
          ...(meta.MultiRegion ? [{ id: 'replicas', label: t.replicasTab, content: <Replicas meta={meta} onChanged={reload} /> }] : []),
          { id: 'tags', label: t.tagsTab, content: <Tags meta={meta} /> },
        ]}
      />
    </SpaceBetween>
  );
}

// Top is the title with what can be done with the key's state.
function Top({ meta, name, reload }: { meta: KeyMetadata; name?: string; reload: () => void }) {
  const { t } = useWords();
  const [change, setChange] = useState<Change>();
  const own = meta.KeyManager === 'CUSTOMER';
  return (
    <>
      <Header
        variant="h1"
        actions={
          own && (
            <ButtonDropdown
              items={[
                { id: 'enable', text: t.enable, disabled: meta.KeyState !== 'Disabled' },
                { id: 'disable', text: t.disable, disabled: meta.KeyState !== 'Enabled' },
                { id: 'schedule', text: t.scheduleDeletion, disabled: meta.KeyState === 'PendingDeletion' },
                { id: 'cancel', text: t.cancelDeletion, disabled: meta.KeyState !== 'PendingDeletion' },
              ]}
              onItemClick={(e) => setChange(e.detail.id as Change)}
            >
              {t.keyActions}
            </ButtonDropdown>
          )
        }
      >
        {name?.replace(/^alias\//, '') ?? meta.KeyId}
      </Header>
      {change && (
        <StateChange
          meta={meta}
          change={change}
          onDone={(changed) => {
            setChange(undefined);
            if (changed) reload();
          }}
        />
      )}
    </>
  );
}
