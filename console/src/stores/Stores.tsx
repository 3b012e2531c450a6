import { useEffect, useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import ButtonDropdown from '@cloudscape-design/components/button-dropdown';
import Header from '@cloudscape-design/components/header';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import type { CustomKeyStoresListEntry as Store } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';
import { When } from '../ui/Dates';
import { Act, type How } from './Act';
import { Form } from './Form';

const colours = { CONNECTED: 'success', CONNECTING: 'in-progress', DISCONNECTING: 'in-progress', DISCONNECTED: 'stopped', FAILED: 'error' } as const;

const between = 2000; // ms between two looks at a store that connects

// Connection is a store's state, and why it could not connect.
function Connection({ store: x }: { store: Store }) {
  const { t } = useWords();
  const state = x.ConnectionState ?? '';
  return (
    <StatusIndicator type={colours[state as keyof typeof colours] ?? 'info'} wrapText>
      {t.connections[state as keyof typeof t.connections] ?? state}
      {x.ConnectionErrorCode ? ` (${x.ConnectionErrorCode})` : ''}
    </StatusIndicator>
  );
}

// Stores are the custom key stores of the account and Region: to create, connect, disconnect, change and
// delete.
export default function Stores() {
  const { t } = useWords();
  const s = useSession();
  const [chosen, choose] = useState<string>();
  const [open, setOpen] = useState<How | 'create' | 'edit'>();
  const [done, setDone] = useState<string>();
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await kms(s);
    const out: Store[] = [];
    for await (const page of m.paginateDescribeCustomKeyStores({ client }, {})) out.push(...(page.CustomKeyStores ?? []));
    return out;
  }, [s]);
  const moving = data?.some((x) => x.ConnectionState === 'CONNECTING' || x.ConnectionState === 'DISCONNECTING');
  useEffect(() => {
    if (!moving) return undefined;
    const timer = setInterval(reload, between);
    return () => clearInterval(timer);
  }, [moving, reload]);
  const store = data?.find((x) => x.CustomKeyStoreId === chosen);
  const state = store?.ConnectionState;
  const finish = (told?: string) => {
    setOpen(undefined);
    if (!told) return;
    setDone(told);
    reload();
  };
  return (
    <SpaceBetween size="m">
      <Problem error={error} />
      {done && <Alert type="success" dismissible dismissAriaLabel={t.close} onDismiss={() => setDone(undefined)}>{done}</Alert>}
      <Table<Store>
        variant="full-page"
        loading={loading && !data}
        loadingText={t.loading}
        items={error ? [] : (data ?? [])}
        trackBy="CustomKeyStoreId"
        selectionType="single"
        selectedItems={store ? [store] : []}
        onSelectionChange={(e) => choose(e.detail.selectedItems[0]?.CustomKeyStoreId)}
        ariaLabels={{ tableLabel: t.stores, selectionGroupLabel: t.stores, itemSelectionLabel: (_s, x) => x.CustomKeyStoreName ?? '' }}
        empty={<Box textAlign="center"><b>{error ? t.unreadable : t.noStores}</b>{!error && <Box variant="p">{t.noStoresLead}</Box>}</Box>}
        wrapLines
        header={
          <Header
            variant="h1"
            description={t.storesLead}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={t.refresh} onClick={reload} />
                <ButtonDropdown
                  disabled={!store}
                  items={[
                    { id: 'connect', text: t.connect, disabled: state !== 'DISCONNECTED' },
                    { id: 'disconnect', text: t.disconnect, disabled: state !== 'CONNECTED' && state !== 'CONNECTING' && state !== 'FAILED' },
                    { id: 'edit', text: t.editStore, disabled: state !== 'DISCONNECTED' && state !== 'CONNECTED' },
                    { id: 'delete', text: t.deleteStore, disabled: state !== 'DISCONNECTED' },
                  ]}
                  onItemClick={(e) => setOpen(e.detail.id as How | 'edit')}
                >
                  {t.storeActions}
                </ButtonDropdown>
                <Button variant="primary" onClick={() => setOpen('create')} data-testid="create-store">{t.createStore}</Button>
              </SpaceBetween>
            }
          >
            {t.stores}
          </Header>
        }
        columnDefinitions={[
          { id: 'name', header: t.graphName, isRowHeader: true, cell: (x) => x.CustomKeyStoreName },
          { id: 'id', header: t.storeId, cell: (x) => x.CustomKeyStoreId },
          { id: 'type', header: t.rotationType, cell: (x) => t.storeTypes[x.CustomKeyStoreType as keyof typeof t.storeTypes] ?? x.CustomKeyStoreType },
          { id: 'state', header: t.connection, cell: (x) => <Connection store={x} /> },
          { id: 'where', header: t.storeWhere, cell: (x) => x.CloudHsmClusterId ?? (x.XksProxyConfiguration ? `${x.XksProxyConfiguration.UriEndpoint}${x.XksProxyConfiguration.UriPath}` : '-') },
          { id: 'created', header: t.created, cell: (x) => <When at={x.CreationDate} /> },
        ]}
      />
      {open === 'create' && <Form onDone={finish} />}
      {open === 'edit' && store && <Form store={store} onDone={finish} />}
      {open && open !== 'create' && open !== 'edit' && store && <Act store={store} how={open} onDone={finish} />}
    </SpaceBetween>
  );
}
