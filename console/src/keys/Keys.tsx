import { useState } from 'react';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Link from '@cloudscape-design/components/link';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import { useWords } from '../i18n';
import { useSession } from '../aws/session';
import { go, href } from '../app/route';
import { useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';
import { findKeys, pageOfKeys, type Row } from './list';

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
  const [markers, setMarkers] = useState<(string | undefined)[]>([undefined]);
  const [text, setText] = useState('');
  const [wanted, want] = useState('');
  const marker = markers[markers.length - 1];
  const { data, error, loading, reload } = useLoad(() => (wanted ? findKeys(s, wanted) : pageOfKeys(s, marker)), [s, marker, wanted]);
  const search = (v: string) => {
    want(v.trim());
    setMarkers([undefined]);
  };
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
            {wanted && !loading && <Box padding={{ top: 'xxs' }}>{t.searched(data?.rows.length ?? 0)}</Box>}
          </SpaceBetween>
        }
        pagination={
          !wanted && (
            <SpaceBetween direction="horizontal" size="xs">
              <Button iconName="angle-left" variant="icon" ariaLabel={t.previous} disabled={markers.length < 2} onClick={() => setMarkers((m) => m.slice(0, -1))} />
              <Box padding={{ top: 'xxs' }}>{t.page} {markers.length}</Box>
              <Button iconName="angle-right" variant="icon" ariaLabel={t.next} disabled={!data?.next} onClick={() => setMarkers((m) => [...m, data!.next])} />
            </SpaceBetween>
          )
        }
        empty={<Box textAlign="center"><b>{wanted ? t.noMatches : t.noKeys}</b>{!wanted && !error && <Box variant="p">{t.noKeysLead}</Box>}</Box>}
        columnDefinitions={[
          { id: 'alias', header: t.aliases, cell: (r) => r.aliases.map((a) => a.replace(/^alias\//, '')).join(', ') || '-' },
          { id: 'id', header: t.keyId, isRowHeader: true, cell: (r) => <Link href={href('keys', r.id)}>{r.id}</Link> },
          { id: 'state', header: t.status, cell: (r) => (r.denied ? <StatusIndicator type="warning">{t.denied}</StatusIndicator> : <State state={r.meta?.KeyState} />) },
          { id: 'spec', header: t.spec, cell: (r) => r.meta?.KeySpec ?? '-' },
          { id: 'usage', header: t.usage, cell: (r) => r.meta?.KeyUsage ?? '-' },
          { id: 'manager', header: t.manager, cell: (r) => r.meta?.KeyManager ?? '-' },
        ]}
      />
    </SpaceBetween>
  );
}
