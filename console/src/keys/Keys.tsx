import { useEffect, useMemo, useState } from 'react';
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
import { findKeys, pageOfKeys, Reader, type Filter, type Known, type Row } from './list';

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
  const [known, tell] = useState<ReadonlyMap<string, Known>>(new Map());
  const [round, again] = useState(0);
  const reader = useMemo(() => new Reader(s, (more) => tell((was) => new Map([...was, ...more]))), [s, round]);
  const { data, error, loading } = useLoad(() => (wanted ? findKeys(s, reader, wanted, filter) : pageOfKeys(s, reader, pages.marker, filter)), [s, reader, pages.marker, wanted, filter]);
  // The rows are there with the list; what is in them follows.
  useEffect(() => void (data && reader.read(data.rows).catch(() => undefined)), [data]);
  const of = (r: Row): Known => known.get(r.arn) ?? {};
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
                <Button iconName="refresh" ariaLabel={t.refresh} onClick={() => again((n) => n + 1)} />
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
          !wanted && <Pager at={pages} next={loading ? undefined : data?.next} />
        }
        empty={<Box textAlign="center"><b>{error ? t.unreadable : wanted || filter.state || filter.usage ? (data?.next ? t.noneHere : t.noMatches) : t.noKeys}</b>{!wanted && !filter.state && !filter.usage && !error && <Box variant="p">{t.noKeysLead}</Box>}</Box>}
        columnDefinitions={[
          { id: 'alias', header: t.aliases, cell: (r) => of(r).aliases?.map((a) => a.replace(/^alias\//, '')).join(', ') || (of(r).aliases ? '-' : '') },
          { id: 'id', header: t.keyId, isRowHeader: true, cell: (r) => <Link href={href('keys', r.id)}>{r.id}</Link> },
          { id: 'state', header: t.status, cell: (r) => <Status of={of(r)} /> },
          { id: 'spec', header: t.spec, cell: (r) => of(r).meta?.KeySpec ?? '' },
          { id: 'usage', header: t.usage, cell: (r) => t.usages[of(r).meta?.KeyUsage as keyof typeof t.usages] ?? of(r).meta?.KeyUsage ?? '' },
          { id: 'manager', header: t.manager, cell: (r) => t.managers[of(r).meta?.KeyManager as keyof typeof t.managers] ?? '' },
        ]}
      />
    </SpaceBetween>
  );
}

// Status is a key's state, as soon as it is known.
function Status({ of }: { of: Known }) {
  const { t } = useWords();
  if (of.meta) return <State state={of.meta.KeyState} />;
  if (of.denied) return <StatusIndicator type="warning">{t.denied}</StatusIndicator>;
  return <StatusIndicator type="loading">{t.loading}</StatusIndicator>;
}
