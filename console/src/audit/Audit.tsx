import { useState } from 'react';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Link from '@cloudscape-design/components/link';
import Modal from '@cloudscape-design/components/modal';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import type { Event, LookupAttributeKey } from '@aws-sdk/client-cloudtrail';
import { useWords } from '../i18n';
import { cloudtrail, useSession } from '../aws/session';
import { href } from '../app/route';
import { useLoad } from '../ui/load';
import { Pager, useMarkers } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { When } from '../ui/Dates';
import { pretty } from '../ui/Diff';

type Record = { errorCode?: string; requestID?: string };

function record(e: Event): Record {
  try {
    return JSON.parse(e.CloudTrailEvent ?? '{}') as Record;
  } catch {
    return {};
  }
}

export default function Audit() {
  const { t } = useWords();
  const s = useSession();
  const [by, setBy] = useState<LookupAttributeKey | ''>('');
  const [value, setValue] = useState('');
  const [asked, ask] = useState<{ by: LookupAttributeKey; value: string }>();
  const pages = useMarkers();
  const [opened, open] = useState<Event>();
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await cloudtrail(s);
    return client.send(new m.LookupEventsCommand({ MaxResults: 50, NextToken: pages.marker, LookupAttributes: asked && [{ AttributeKey: asked.by, AttributeValue: asked.value }] }));
  }, [s, pages.marker, asked]);
  const options = [
    { value: '', label: t.allEvents }, { value: 'EventName', label: t.byName }, { value: 'EventSource', label: t.bySource },
    { value: 'Username', label: t.byUser }, { value: 'ResourceName', label: t.byResource },
  ];
  const lookup = () => {
    pages.first();
    ask(by && value ? { by, value } : undefined);
  };
  return (
    <SpaceBetween size="m">
      <Problem error={error} />
      <Table<Event>
        variant="full-page"
        stickyHeader
        loading={loading}
        loadingText={t.loading}
        items={error ? [] : (data?.Events ?? [])}
        trackBy="EventId"
        ariaLabels={{ tableLabel: t.audit }}
        empty={error ? t.unreadable : t.noEvents}
        header={<Header variant="h1" description={t.auditLead} actions={<Button iconName="refresh" ariaLabel={t.refresh} onClick={reload} />}>{t.audit}</Header>}
        filter={
          <SpaceBetween direction="horizontal" size="xs">
            <Select ariaLabel={t.lookupBy} selectedOption={options.find((o) => o.value === by)!} options={options} onChange={(e) => setBy(e.detail.selectedOption.value as typeof by)} />
            <Input ariaLabel={t.lookupValue} value={value} disabled={!by} onChange={(e) => setValue(e.detail.value)} onKeyDown={(e) => e.detail.key === 'Enter' && lookup()} />
            <Button onClick={lookup}>{t.lookup}</Button>
          </SpaceBetween>
        }
        pagination={<Pager at={pages} next={loading ? undefined : data?.NextToken} />}
        columnDefinitions={[
          { id: 'name', header: t.event, isRowHeader: true, minWidth: 140, cell: (e) => <Button variant="inline-link" onClick={() => open(e)}>{e.EventName}</Button> },
          { id: 'time', header: t.time, cell: (e) => <When at={e.EventTime} /> },
          { id: 'who', header: t.who, cell: (e) => e.Username ?? '-' },
          { id: 'source', header: t.source, cell: (e) => e.EventSource },
          { id: 'outcome', header: t.outcome, cell: (e) => (record(e).errorCode ? <StatusIndicator type="error">{record(e).errorCode}</StatusIndicator> : <StatusIndicator type="success">{t.succeeded}</StatusIndicator>) },
        ]}
      />
      {opened && (
        <Modal visible size="large" header={opened.EventName} closeAriaLabel={t.close} onDismiss={() => open(undefined)}>
          <SpaceBetween size="m">
            {record(opened).requestID && <Link href={href('authorizations', record(opened).requestID!)}>{t.decision}</Link>}
            <Box variant="h3">{t.eventRecord}</Box>
            <pre className="kg-pre">{pretty(opened.CloudTrailEvent ?? '')}</pre>
          </SpaceBetween>
        </Modal>
      )}
    </SpaceBetween>
  );
}
