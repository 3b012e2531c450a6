import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import type { CustomKeyStoresListEntry } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';
import { When } from '../ui/Dates';

const colours = { CONNECTED: 'success', CONNECTING: 'in-progress', DISCONNECTING: 'in-progress', DISCONNECTED: 'stopped', FAILED: 'error' } as const;

// Stores are the custom key stores of the account and Region, to read.
export default function Stores() {
  const { t } = useWords();
  const s = useSession();
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await kms(s);
    const out: CustomKeyStoresListEntry[] = [];
    for await (const page of m.paginateDescribeCustomKeyStores({ client }, {})) out.push(...(page.CustomKeyStores ?? []));
    return out;
  }, [s]);
  return (
    <SpaceBetween size="m">
      <Problem error={error} />
      <Table<CustomKeyStoresListEntry>
        variant="full-page"
        loading={loading}
        loadingText={t.loading}
        items={error ? [] : (data ?? [])}
        trackBy="CustomKeyStoreId"
        ariaLabels={{ tableLabel: t.stores }}
        empty={<Box textAlign="center"><b>{t.noStores}</b></Box>}
        header={<Header variant="h1" description={t.storesLead} actions={<Button iconName="refresh" ariaLabel={t.refresh} onClick={reload} />}>{t.stores}</Header>}
        columnDefinitions={[
          { id: 'name', header: t.graphName, isRowHeader: true, cell: (x) => x.CustomKeyStoreName },
          { id: 'id', header: t.storeId, cell: (x) => x.CustomKeyStoreId },
          { id: 'type', header: t.rotationType, cell: (x) => x.CustomKeyStoreType },
          { id: 'state', header: t.connection, cell: (x) => <StatusIndicator type={colours[x.ConnectionState as keyof typeof colours] ?? 'info'}>{x.ConnectionState}{x.ConnectionErrorCode ? ` (${x.ConnectionErrorCode})` : ''}</StatusIndicator> },
          { id: 'where', header: t.storeWhere, cell: (x) => x.CloudHsmClusterId ?? (x.XksProxyConfiguration ? `${x.XksProxyConfiguration.UriEndpoint}${x.XksProxyConfiguration.UriPath}` : '-') },
          { id: 'created', header: t.created, cell: (x) => <When at={x.CreationDate} /> },
        ]}
      />
    </SpaceBetween>
  );
}
