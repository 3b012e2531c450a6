import { useState } from 'react';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Link from '@cloudscape-design/components/link';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import { useWords } from '../i18n';
import { useSession } from '../aws/session';
import { go, href } from '../app/route';
import { useLoad } from '../ui/load';
import { Pager, useMarkers } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { findKeys, pageOfKeys, type Filter, type Row } from './list';

// State is a key's, with its colour.
export function State({ state }: { state?: string }) {
  const { t } = useWords();
  if (!state) return <>-</>;
  const type = state === 'Enabled' ? 'success' : state === 'Disabled' ? 'stopped' : state.startsWith('Pending') ? 'pending' : state === 'Unavailable' ? 'error' : 'in-progress';
  return <StatusIndicator type={type}>{t[state as 'Enabled'] ?? state}</StatusIndicator>;
}

export default function Keys() {
  const { t } = useWords();
  const s = useSession();
  const pages = useMarkers();
  const [filter, setFilter] = useState<Filter>({ state: '', usage: '' });
  const [text, setText] = useState('');
  const [wanted, want] = useState('');
  const { data, error, loading, reload } = useLoad(() => (wanted ? findKeys(s, wanted, filter) : pageOfKeys(s, pages.marker, filter)), [s, pages.marker, wanted, filter]);
  const search = (v: string) => {
    want(v.trim());
    pages.first();
  };
  const filters = [
    { name: 'state' as const, label: t.status, options: [{ value: '', label: t.anyState }, ...(['Enabled', 'Disabled', 'PendingDeletion', 'PendingImport', 'Unavailable'] as const).map((v) => ({ value: v, label: t[v] }))] },
    { name: 'usage' as const, label: t.usage, options: [{ value: '', label: t.anyUsage }, ...(['ENCRYPT_DECRYPT', 'SIGN_VERIFY', 'GENERATE_VERIFY_MAC', 'KEY_AGREEMENT'] as const).map((v) => ({ value: v, label: t.usages[v] }))] },
  ];
  return (
    <SpaceBetween size="m">
      <Problem error={error} />
      <Table<Row>
        variant="full-page"
        stickyHeader
        loading={loading}
        loadingText={t.loading}
        items={error ? [] : (data?.rows ?? [])}
        trackBy="arn"
        ariaLabels={{ tableLabel: t.keys }}
        header={
          <Header
            variant="h1"
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={t.refresh} onClick={reload} />
                <Button variant="primary" onClick={() => go('create-key')}>{t.createKey}</Button>
              </SpaceBetween>
            }
          >
            {t.keys}
          </Header>
        }
        filter={
          <SpaceBetween direction="horizontal" size="xs">
            <div className="kg-search">
              <Input type="search" value={text} ariaLabel={t.findKeys} placeholder={t.findKeys} clearAriaLabel={t.clear} onChange={(e) => { setText(e.detail.value); if (!e.detail.value) search(''); }} onKeyDown={(e) => e.detail.key === 'Enter' && search(text)} />
            </div>
            {filters.map(({ name, label, options }) => (
              <Select
                key={name} ariaLabel={label} options={options} selectedOption={options.find((o) => o.value === filter[name])!} data-testid={`filter-${name}`}
                onChange={(e) => { setFilter((f) => ({ ...f, [name]: e.detail.selectedOption.value! })); pages.first(); }}
              />
            ))}
            {wanted && !loading && <Box padding={{ top: 'xxs' }}>{t.searched(data?.rows.length ?? 0)}</Box>}
          </SpaceBetween>
        }
        pagination={
          !wanted && <Pager at={pages} next={data?.next} />
        }
        empty={<Box textAlign="center"><b>{error ? t.unreadable : wanted || filter.state || filter.usage ? (data?.next ? t.noneHere : t.noMatches) : t.noKeys}</b>{!wanted && !filter.state && !filter.usage && !error && <Box variant="p">{t.noKeysLead}</Box>}</Box>}
        columnDefinitions={[
          { id: 'alias', header: t.aliases, cell: (r) => r.aliases.map((a) => a.replace(/^alias\//, '')).join(', ') || '-' },
          { id: 'id', header: t.keyId, isRowHeader: true, cell: (r) => <Link href={href('keys', r.id)}>{r.id}</Link> },
          { id: 'state', header: t.status, cell: (r) => (r.denied ? <StatusIndicator type="warning">{t.denied}</StatusIndicator> : <State state={r.meta?.KeyState} />) },
          { id: 'spec', header: t.spec, cell: (r) => r.meta?.KeySpec ?? '-' },
          { id: 'usage', header: t.usage, cell: (r) => t.usages[r.meta?.KeyUsage as keyof typeof t.usages] ?? r.meta?.KeyUsage ?? '-' },
          { id: 'manager', header: t.manager, cell: (r) => t.managers[r.meta?.KeyManager as keyof typeof t.managers] ?? '-' },
        ]}
      />
    </SpaceBetween>
  );
}
