import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import type { GrantListEntry, KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useAct, useLoad } from '../ui/load';
import { Pager, useMarkers } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { CreateGrant } from './CreateGrant';
import { Impact } from './Impact';
import { volumeOf } from './impact';
import { When } from '../ui/Dates';

type How = 'revoke' | 'retire';

// Grants of a key, in the server's pages.
export function Grants({ meta }: { meta: KeyMetadata }) {
  const { t } = useWords();
  const s = useSession();
  const pages = useMarkers();
  const [text, setText] = useState('');
  const [wanted, want] = useState('');
  const [chosen, choose] = useState<GrantListEntry[]>([]);
  const [ending, end] = useState<How>();
  const [creating, setCreating] = useState(false);
  const [done, setDone] = useState<string>();
  const marker = pages.marker;
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await kms(s);
    return client.send(new m.ListGrantsCommand({ KeyId: meta.Arn, Limit: 50, Marker: marker, ...(/^[0-9a-f]{16,64}$/.test(wanted) ? { GrantId: wanted } : wanted ? { GranteePrincipal: wanted } : {}) }));
  }, [s, meta.Arn, marker, wanted]);
  const search = (v: string) => {
    want(v.trim());
    pages.first();
    choose([]);
  };
  return (
    <SpaceBetween size="m">
      {done && <Alert type="success" dismissible dismissAriaLabel={t.close} onDismiss={() => setDone(undefined)}>{done}</Alert>}
      <Problem error={error} />
      <Table<GrantListEntry>
        loading={loading}
        loadingText={t.loading}
        items={error ? [] : (data?.Grants ?? [])}
        trackBy="GrantId"
        selectionType="single"
        selectedItems={chosen}
        onSelectionChange={(e) => choose(e.detail.selectedItems)}
        ariaLabels={{ tableLabel: t.grants, selectionGroupLabel: t.grants, itemSelectionLabel: (_s, g) => g.GrantId ?? '' }}
        empty={wanted ? t.noMatches : error ? t.unreadable : t.noGrants}
        filter={<div className="kg-search"><Input type="search" value={text} ariaLabel={t.findGrants} placeholder={t.findGrants} clearAriaLabel={t.clear} onChange={(e) => { setText(e.detail.value); if (!e.detail.value) search(''); }} onKeyDown={(e) => e.detail.key === 'Enter' && search(text)} /></div>}
        wrapLines
        header={
          <Header
            variant="h2"
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={t.refresh} onClick={reload} />
                <Button disabled={chosen.length === 0} onClick={() => end('retire')} data-testid="retire">{t.retire}</Button>
                <Button disabled={chosen.length === 0} onClick={() => end('revoke')} data-testid="revoke">{t.revoke}</Button>
                <Button onClick={() => setCreating(true)} data-testid="create-grant">{t.createGrant}</Button>
              </SpaceBetween>
            }
          >
            {t.grants}
          </Header>
        }
        pagination={<Pager at={pages} next={loading ? undefined : data?.NextMarker} />}
        columnDefinitions={[
          { id: 'id', header: t.grantId, isRowHeader: true, cell: (g) => `${g.GrantId?.slice(0, 16)}…` },
          { id: 'grantee', header: t.grantee, cell: (g) => <span className="kg-long">{g.GranteePrincipal}</span> },
          { id: 'operations', header: t.operations, cell: (g) => g.Operations?.join(', ') },
          { id: 'constraints', header: t.constraints, cell: (g) => Object.entries({ ...g.Constraints?.EncryptionContextSubset, ...g.Constraints?.EncryptionContextEquals }).map(([k, v]) => `${k}=${v}`).join(', ') || '-' },
          { id: 'retiring', header: t.retiring, cell: (g) => g.RetiringPrincipal ?? '-' },
          { id: 'created', header: t.created, minWidth: 130, cell: (g) => <When at={g.CreationDate} /> },
        ]}
      />
      {ending && chosen[0] && (
        <End
          meta={meta}
          grant={chosen[0]}
          how={ending}
          onDone={(ended) => {
            end(undefined);
            if (!ended) return;
            choose([]);
            setDone(ending === 'revoke' ? t.revoked : t.retired);
            reload();
          }}
        />
      )}
      {creating && (
        <CreateGrant
          meta={meta}
          onDone={(id) => {
            setCreating(false);
            if (!id) return;
            setDone(t.grantCreated(id));
            reload();
          }}
        />
      )}
    </SpaceBetween>
  );
}

// End says what is lost, and then revokes or retires.
function End({ meta, grant, how, onDone }: { meta: KeyMetadata; grant: GrantListEntry; how: How; onDone: (done: boolean) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const title = how === 'revoke' ? t.revoke : t.retire;
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      const those = { KeyId: meta.Arn, GrantId: grant.GrantId };
      if (how === 'revoke') await client.send(new m.RevokeGrantCommand(those));
      else await client.send(new m.RetireGrantCommand(those));
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
            <Button variant="primary" loading={busy} onClick={run} data-testid={`${how}-now`}>{title}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box variant="code">{grant.GranteePrincipal}</Box>
        <Alert type="warning">
          <Box variant="p">{t.revokeLead}</Box>
          {volumeOf(grant) && <Box variant="p">{t.revokeVolume(volumeOf(grant)!)}</Box>}
          {how === 'retire' && <Box variant="p">{t.retireLead}</Box>}
        </Alert>
        <Impact change={{ Type: how === 'revoke' ? 'REVOKE_GRANT' : 'RETIRE_GRANT', KeyId: meta.Arn!, GrantId: grant.GrantId! }} />
        <Problem error={error} />
      </SpaceBetween>
    </Modal>
  );
}
